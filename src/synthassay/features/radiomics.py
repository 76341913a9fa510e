"""Radiomic features: first-order and texture statistics of the pixels, by a library that the settings name.

What holds for both libraries. Grey levels are fixed bins over the full range of the pixels' dtype, which is the window
that the cohort's intensity policy chose for all: bins between an image's own minimum and maximum would hide a shift of
intensity between real and synthetic images and hang on two pixels. Colour becomes luminance, so a change of hue alone
is not seen. Images are not resized: compare only sets of one size.
"""

from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.features import radiomics_pyradiomics, radiomics_skimage
from synthassay.features.protocol import EncoderStatus
from synthassay.records import FeatureSet, Identity, ImageSet, Progress, identity
from synthassay.specs import Resources, digest_of

Library = Literal["skimage", "pyradiomics"]
MODULES = {"skimage": radiomics_skimage, "pyradiomics": radiomics_pyradiomics}
INSTALL = {
    "skimage": "pip install scikit-image",
    "pyradiomics": "pip install pyradiomics==3.0.1 (Python 3.11 and a C compiler), or use encoder.library=skimage",
}
LUMINANCE = (0.2125, 0.7154, 0.0721)  # Rec. 709
BLOCK = 16  # images that one process takes at a time
FEWEST_BLOCKS = 8  # below it a pool costs more (about a second for each process) than it saves


class RadiomicEncoder:
    """An :class:`~synthassay.features.protocol.Encoder` without a network; each image on its own, in processes."""

    spatial: Literal[2, 3] = 2

    def __init__(self, library: Library, levels: int, resources: Resources) -> None:
        module = MODULES[library]
        release = _version(library)
        if release is None:
            raise UserError(f"encoder.library={library} needs {module.DISTRIBUTION}, which is not installed.\n"
                            f"Install it: {INSTALL[library]}")  # fmt: skip
        self.name = f"radiomics-{library}"
        self.feature_names = module.feature_names()
        self.identity: Identity = identity(
            encoder=self.name, library=f"{module.DISTRIBUTION} {release}", features=digest_of(self.feature_names),
            levels=levels, bins="equal, over the full range of the dtype", resize="none", dtype="float32 of float64",
            channels=f"RGB to luminance {LUMINANCE}, rounded",
        )  # fmt: skip
        self._smallest = module.MIN_SIDE
        self._compute = partial(_features, library, levels)
        self._resources = resources

    @property
    def dimension(self) -> int:
        """Features per image."""
        return len(self.feature_names)

    def encode(self, images: ImageSet, progress: Progress) -> FeatureSet:
        """The features of ``images``; see :meth:`synthassay.features.protocol.Encoder.encode`."""
        _, channels, height, width = images.pixels.shape
        if channels not in (1, 3):
            raise UserError(f"{images.name}: found {channels} channels, but {self.name} takes 1 (grey) or 3 (RGB)")
        if min(height, width) < self._smallest:
            raise UserError(f"{images.name}: images of {height}×{width} pixels are too small for texture; "
                            f"{self.name} needs {self._smallest} on each side")  # fmt: skip
        features = np.empty((len(images), self.dimension), np.float32)
        starts = range(0, len(images), BLOCK)
        progress.start(f"encode {images.name}", len(images))
        with closing(self._blocks([images.pixels[start : start + BLOCK] for start in starts])) as blocks:
            for start, found in zip(starts, blocks, strict=True):
                features[start : start + len(found)] = found
                progress.advance(len(found))
        progress.finish()
        self._check(images.name, features)
        return FeatureSet(
            name=images.name, origin=images.origin, features=features, ids=images.ids, patients=images.patients,
            labels=images.labels, label_names=images.label_names, encoder=self.name, encoder_identity=self.identity,
            groups=images.groups, split=images.split, content_id=images.content_id,
        )  # fmt: skip

    def _blocks(self, pixels: list[NDArray[np.unsignedinteger]]) -> Generator[NDArray[np.float64], None, None]:
        """The features of each block, in order."""
        from synthassay.features.encoders import usable_cores  # here, so that the processes below do not import torch

        workers = min(self._resources.threads or usable_cores(), len(pixels))
        if workers < 2 or len(pixels) < FEWEST_BLOCKS:
            yield from map(self._compute, pixels)
            return
        # Processes, since the libraries hold the interpreter's lock; spawned, since torch has threads in this one.
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        try:
            yield from pool.map(self._compute, pixels)
        except BrokenProcessPool as error:
            raise UserError("a process that computed radiomic features was ended by the system, probably for lack of "
                            "memory.\nStart again with resources.threads=1.") from error  # fmt: skip
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _check(self, name: str, features: NDArray[np.float32]) -> None:
        finite = np.isfinite(features)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise UserError(f"{name}: {self.feature_names[column]} of the image in row {row} is "
                            f"{features[row, column]}\n{int((~finite.all(axis=1)).sum())} of {len(features)} images "
                            "are affected; look at them, or use encoder.library=skimage")  # fmt: skip


def radiomic_encoder(library: Library, levels: int, resources: Resources) -> RadiomicEncoder:
    """The encoder ``radiomics-skimage`` or ``radiomics-pyradiomics`` with ``levels`` grey levels.

    Raises :class:`~synthassay.errors.UserError` where the library is not installed; never takes the other one.
    """
    return RadiomicEncoder(library, levels, resources)


def radiomics_status(library: Library = "skimage") -> EncoderStatus:
    """Whether ``library`` is installed."""
    release, distribution = _version(library), MODULES[library].DISTRIBUTION
    detail = f"{distribution} {release}" if release else f"{distribution} is not installed: {INSTALL[library]}"
    return EncoderStatus(encoder=f"radiomics-{library}", present=release is not None, detail=detail)


def grey(pixels: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """``[n, 1 or 3, h, w]`` → ``[n, h, w]`` of the same dtype: RGB by luminance, rounded."""
    if pixels.shape[1] == 1:
        return pixels[:, 0]
    luminance = np.rint(np.einsum("nchw,c->nhw", pixels.astype(np.float64), LUMINANCE))
    return np.asarray(luminance, pixels.dtype)


def _features(library: Library, levels: int, pixels: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """``[n, c, h, w]`` → ``[n, d]``."""
    compute: Callable[[NDArray[np.unsignedinteger], int], NDArray[np.float64]] = MODULES[library].features
    return np.stack([compute(image, levels) for image in grey(pixels)])


def _version(library: Library) -> str | None:
    try:
        return version(MODULES[library].DISTRIBUTION)
    except PackageNotFoundError:
        return None
