import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from synthassay.errors import UserError
from synthassay.scans import burned_in
from synthassay.scans.burned_in import check_installed, shows_text


def picture(text: str) -> np.ndarray:
    """A noisy grey picture of any unit, with ``text`` at its brightest."""
    noise = np.random.default_rng(0).normal(60, 15, (256, 320)).clip(0, 255)
    image = Image.fromarray(noise.astype(np.uint8))
    ImageDraw.Draw(image).text((20, 20), text, fill=255, font=ImageFont.load_default(22))
    return np.asarray(image, np.float32) * 7 - 1000


def test_text_in_pixels_is_found_and_noise_is_not():
    pytest.importorskip("rapidocr_onnxruntime", reason="needs the extra synthassay[ocr]")
    assert shows_text(picture("DOE JANE 1980"))
    assert not shows_text(picture(""))
    assert not shows_text(np.zeros((64, 64), np.float32))
    assert shows_text(np.repeat(picture("DOE JANE 1980")[..., None], 3, axis=2))


def test_without_the_extra_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(burned_in, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'synthassay\[ocr\]'"):
        check_installed()


def test_the_extra_is_not_imported_before_it_is_needed():
    import subprocess

    code = "import sys, synthassay.cohorts.prepare; sys.exit('rapidocr_onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
