"""The loop that all encoders share: pixels in blocks of a fixed size → network → features."""

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.features.precision import exact_float32
from synthassay.records import FeatureSet, Identity, ImageSet, Progress
from synthassay.specs import Resources

# One fixed batch per device: the kernels that a library picks, and so the rounding, depend on the batch size. On a CPU
# the maps of two images stay in the cache; those of eight or more do not, and each image takes longer.
CPU_BATCH = 2
CUDA_BATCH = 256


class NetworkEncoder:
    """An :class:`~synthassay.features.protocol.Encoder` around a torch network.

    ``load`` makes the network, which maps ``[b, c, h, w]`` float32 in [0, 1] with c = 1 or 3 to ``[b, dimension]``
    float32; it is called once, at the first :meth:`encode`. ``resources`` says where it runs and on how many threads.
    """

    def __init__(
        self, *, name: str, identity: Identity, dimension: int, load: Callable[[], nn.Module], resources: Resources
    ) -> None:
        self.name = name
        self.identity = identity
        self.dimension = dimension
        self._load = load
        self._device = resources.torch_device()
        self._threads = resources.threads or usable_cores()
        self._batch = CPU_BATCH if self._device == "cpu" else CUDA_BATCH
        self._network: nn.Module | None = None

    def encode(self, images: ImageSet, progress: Progress) -> FeatureSet:
        """The features of ``images``; see :meth:`synthassay.features.protocol.Encoder.encode`."""
        channels = images.pixels.shape[1]
        if channels not in (1, 3):
            raise UserError(f"{images.name}: found {channels} channels, but {self.name} takes 1 (grey) or 3 (RGB)")
        features = np.empty((len(images), self.dimension), np.float32)
        starts = range(0, len(images), self._batch)
        progress.start(f"encode {images.name}", len(images))
        # Closing the blocks drops the work that is still queued when this is interrupted.
        with exact_float32(self._device), closing(self._blocks(self._loaded(), images, starts)) as blocks:
            for start, found in zip(starts, blocks, strict=True):
                features[start : start + len(found)] = found
                progress.advance(len(found))
        progress.finish()
        return FeatureSet(
            name=images.name, origin=images.origin, features=features, ids=images.ids, patients=images.patients,
            labels=images.labels, label_names=images.label_names, encoder=self.name, encoder_identity=self.identity,
            groups=images.groups, split=images.split, content_id=images.content_id,
        )  # fmt: skip

    def _loaded(self) -> nn.Module:
        if self._network is None:
            self._network = self._load().eval().requires_grad_(False).to(self._device)
        return self._network

    def _blocks(
        self, network: nn.Module, images: ImageSet, starts: range
    ) -> Generator[NDArray[np.float32], None, None]:
        """The features of each block, in order."""
        compute = partial(_features, network, images, self._batch, self._device)
        if self._device != "cpu":
            yield from map(compute, starts)
            return
        # Each thread takes whole batches. Sharing one batch among threads makes them wait for each other at every
        # layer, which is many times slower when another process has one of the cores.
        with one_thread_each(), ThreadPoolExecutor(self._threads) as pool:
            yield from pool.map(compute, starts)


def _features(network: nn.Module, images: ImageSet, batch: int, device: str, start: int) -> NDArray[np.float32]:
    """The features of the rows from ``start``, ``batch`` of them unless the set ends before."""
    block = images.pixels[start : start + batch]
    unit = torch.from_numpy(np.asarray(block, np.float32) / np.float32(images.pixel_max))
    if len(unit) < batch:  # a short last batch is padded to the fixed size with its own last image
        unit = torch.cat([unit, unit[-1:].expand(batch - len(unit), -1, -1, -1)])
    with torch.inference_mode():  # holds for one thread only, so it is entered here
        found: Tensor = network(unit.to(device))
    return np.asarray(found[: len(block)].cpu().numpy(), np.float32)


def usable_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Within it a torch operator uses one thread; threads that are started within it inherit that."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
