"""The loop that all encoders share: pixels in blocks of a fixed size → network → features."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from synthassay.errors import UserError
from synthassay.precision import exact_float32
from synthassay.records import FeatureSet, Identity, ImageSet, Progress
from synthassay.records import identity as identity_of
from synthassay.specs import Resources

# One fixed batch per device: the kernels that a library picks, and so the rounding, depend on the batch size. On a CPU
# the maps of two images stay in the cache; those of eight or more do not, and each image takes longer.
CPU_BATCH = 2
CUDA_BATCH = 256


class NetworkEncoder:
    """An :class:`~synthassay.features.protocol.Encoder` around a torch network.

    ``load`` makes the network, which maps ``[b, c, h, w]`` (volumes: ``[b, c, d, h, w]``) float32 in [0, 1], with c
    one of ``channels``, to ``[b, dimension]`` float32; it is called once, at the first :meth:`encode`. ``spatial`` is
    2 for images and 3 for volumes. Any other number of channels is encoded channel by channel, each as grey, where the
    network takes grey at all: see :meth:`encode_pixels`. ``resources`` says where it runs and on how many threads.
    """

    def __init__(
        self, *, name: str, identity: Identity, dimension: int, load: Callable[[], nn.Module], resources: Resources,
        channels: Sequence[int] = (1, 3), spatial: Literal[2, 3] = 2, cuda_batch: int = CUDA_BATCH,
    ) -> None:  # fmt: skip
        self.name = name
        self.identity = identity
        self.dimension = dimension
        self._load = load
        self.spatial: Literal[2, 3] = spatial
        self._channels = tuple(channels)
        self._device = resources.torch_device()
        self._threads = resources.threads or usable_cores()
        self._batch = CPU_BATCH if self._device == "cpu" else cuda_batch
        self._network: nn.Module | None = None

    def encode(self, images: ImageSet, progress: Progress) -> FeatureSet:
        """The features of ``images``; see :meth:`synthassay.features.protocol.Encoder.encode`."""
        features = self.encode_pixels(images.pixels, progress, images.name)
        channels = images.pixels.shape[1]
        rule = {} if channels in self._channels else {"channels": f"{channels}, each as grey, concatenated"}
        return FeatureSet(
            name=images.name, origin=images.origin, features=features, ids=images.ids, patients=images.patients,
            labels=images.labels, label_names=images.label_names, encoder=self.name,
            encoder_identity=identity_of(**dict(self.identity) | rule),
            groups=images.groups, split=images.split, content_id=images.content_id,
        )  # fmt: skip

    def encode_pixels(self, pixels: NDArray[Any], progress: Progress, name: str) -> NDArray[np.float32]:
        """Features ``[n, d]`` of ``[n, c, h, w]`` or, for volumes, ``[n, c, d, h, w]``, uint8 or uint16 over its range.

        d is ``dimension``, or c times that where the network does not take c channels: then each channel is encoded as
        a grey image and the features stand beside each other in the order of the channels, as is usual in microscopy
        (Pawlowski et al. 2016, bioRxiv 085118); their mean would not see two channels change places. ``name`` is for
        messages. Raises :class:`~synthassay.errors.UserError` for the wrong number of dimensions, or of channels.
        """
        singly = self._checked(pixels, name)
        features = np.empty((len(pixels), self.dimension * (pixels.shape[1] if singly else 1)), np.float32)
        starts = range(0, len(pixels), self._batch)
        progress.start(f"encode {name}", len(pixels))
        # Closing the blocks drops the work that is still queued when this is interrupted.
        with exact_float32(self._device), closing(self._blocks(self._loaded(), pixels, singly, starts)) as blocks:
            for start, found in zip(starts, blocks, strict=True):
                features[start : start + len(found)] = found
                progress.advance(len(found))
        progress.finish()
        return features

    def _checked(self, pixels: NDArray[Any], name: str) -> bool:
        """Whether the channels are encoded one by one; an error when the network cannot take ``pixels`` at all."""
        if pixels.ndim != 2 + self.spatial:
            kinds = {4: "images [n, c, h, w]", 5: "volumes [n, c, d, h, w]"}
            text = f"{name}: found an array of shape {list(pixels.shape)}, but {self.name} takes "
            hint = "; give it the slices" if self.spatial == 2 else "; choose an encoder of images, e.g. rad_dino"
            raise UserError(text + kinds[2 + self.spatial] + hint)
        channels = pixels.shape[1]
        if channels in self._channels:
            return False
        if 1 in self._channels:
            return True
        takes = " or ".join(map(str, self._channels))
        raise UserError(f"{name}: found {channels} channel(s), but {self.name} takes {takes}")

    def _loaded(self) -> nn.Module:
        if self._network is None:
            self._network = self._load().eval().requires_grad_(False).to(self._device)
        return self._network

    def _blocks(
        self, network: nn.Module, pixels: NDArray[Any], singly: bool, starts: range
    ) -> Generator[NDArray[np.float32], None, None]:
        """The features of each block, in order."""
        compute = partial(_features, network, pixels, singly, self._batch, self._device)
        if self._device != "cpu":
            yield from map(compute, starts)
            return
        # Each thread takes whole batches. Sharing one batch among threads makes them wait for each other at every
        # layer, which is many times slower when another process has one of the cores.
        with one_thread_each(), ThreadPoolExecutor(self._threads) as pool:
            yield from pool.map(compute, starts)


def _features(
    network: nn.Module, pixels: NDArray[Any], singly: bool, batch: int, device: str, start: int
) -> NDArray[np.float32]:
    """The features of the rows from ``start``, ``batch`` of them unless the set ends before."""
    block = pixels[start : start + batch]
    unit = torch.from_numpy(np.asarray(block, np.float32) / np.float32(np.iinfo(pixels.dtype).max))
    if len(unit) < batch:  # a short last batch is padded to the fixed size with its own last image
        unit = torch.cat([unit, unit[-1:].expand(batch - len(unit), *unit.shape[1:])])
    parts = [unit[:, c : c + 1] for c in range(unit.shape[1])] if singly else [unit]
    with torch.inference_mode():  # holds for one thread only, so it is entered here
        found = torch.cat([network(part.to(device)) for part in parts], dim=1)
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
