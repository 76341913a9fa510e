"""What every trained generator offers to the stages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synthassay.records import ImageSet, Progress
from synthassay.specs import Resources

Conditions = Mapping[str, NDArray[Any]]


class Sampler(Protocol):
    """Trained weights, ready to draw images."""

    @property
    def batch_size(self) -> int:
        """How many images are best asked for at once: what the device holds. It may change with the first of them."""

    def sample(self, seeds: NDArray[np.int64], conditions: Conditions) -> NDArray[np.float32]:
        """Draw one image per seed.

        ``seeds``: ``[n]``. ``conditions[column]``: ``[n]`` for columns of the spec's ``condition_on``: int64 class
        indices for ``label`` (−1 where missing), text for site, device, sex and age band ("" where missing), float32
        in [0, 1] for ``slice_position`` (NaN where missing), and for ``mask`` ``[n, (d,) h, w]`` uint8 (255 where
        missing). A column that is not given is missing for all. Returns ``[n, c, (d,) h, w]`` float32 in [0, 1].

        Image i depends on ``seeds[i]`` and its conditions only: bit for bit on a CPU when the same rows stand at the
        same places of a batch, and in single precision to 1e-4 whatever the rows beside it, their order and their
        number. A GPU's batches follow its free memory, so that there it is always to rounding.

        Raises :class:`~synthassay.errors.UserError` for a value that the training images did not show.
        """


class TrainedFamily(Protocol):
    """A kind of generator: trains from an image set, loads what it trained."""

    def fit(self, train: ImageSet, workdir: Path, *, seed: int, resources: Resources, progress: Progress) -> None:
        """Train on ``train`` and leave ``model.safetensors``, ``model.json`` and ``losses.csv`` in ``workdir``.

        ``checkpoint.safetensors`` there holds everything that a later call needs to continue. A call that finds one
        continues from it, and on a CPU ends in the same bits as a call that was never interrupted. A signal that asks
        for an end (:mod:`synthassay.stopping`) is obeyed once a checkpoint is written. In a team every process calls
        this on the same folder: they share the batches, and rank 0 writes.

        Raises :class:`~synthassay.errors.UserError` when the settings do not fit the images, when the loss is no
        longer finite or explodes, and when ``workdir`` holds another training.
        """

    def load(self, workdir: Path, resources: Resources, snapshot: int | None = None) -> Sampler:
        """The sampler of what :meth:`fit` left in ``workdir``: of the end, or of the step of a ``snapshot``."""

    def snapshots(self, workdir: Path) -> tuple[int, ...]:
        """After which steps :meth:`load` has a sampler; the last is the end. Empty where nothing is trained."""
