"""Text burnt into the pixels of an image: whether there is some, never what it says.

An optional extra, ``synthassay[ocr]``, whose models come with it: nothing is sent anywhere. About a second an image.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.scans.findings import Finding

IN_PIXELS = Finding("text in pixels", "text burnt into the image", "clean")
LEAST_LETTERS = 3  # of a text: anatomy now and then reads like one or two
LEAST_CONFIDENCE = 0.8
DARK, BRIGHT = 1.0, 99.9  # percentiles that become black and white; text is brighter than nearly all else


def check_installed() -> None:
    """Raises :class:`UserError` where the extra is missing."""
    if find_spec("rapidocr_onnxruntime") is None:
        raise UserError("cohort.deidentification.ocr=true needs an extra that is not installed.\n"
                        "Run: pip install 'synthassay[ocr]' (Python 3.11 or 3.12), or leave it off.")  # fmt: skip


def shows_text(values: NDArray[np.float32]) -> bool:
    """Whether ``[h, w]`` grey or ``[h, w, 3]`` colour values of any unit hold a text of three letters or more."""
    dark, bright = np.percentile(values, [DARK, BRIGHT])
    if not dark < bright:
        dark, bright = float(values.min()), float(values.max())
    scaled = np.clip((values - dark) / max(bright - dark, 1e-12), 0, 1) * 255
    colour = scaled if scaled.ndim == 3 else np.repeat(scaled[..., None], 3, axis=2)
    found, _ = _engine()(colour.astype(np.uint8), use_cls=False)
    return any(len(text) >= LEAST_LETTERS and float(score) >= LEAST_CONFIDENCE for _, text, score in found or ())


@cache
def _engine() -> Any:
    from rapidocr_onnxruntime import RapidOCR

    return RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
