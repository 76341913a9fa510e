"""Published networks as encoders: a pinned file, a preparation, and the network that takes both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.features.encoders import NetworkEncoder
from synthassay.features.preparation import Preparation, PreparedNetwork
from synthassay.features.weights import PinnedFile, found_weights
from synthassay.records import identity
from synthassay.specs import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """A published network. ``load`` makes it from the weights file: prepared images in, ``[b, dimension]`` out."""

    name: str
    weights: PinnedFile
    layer: str  # which features, in words
    dimension: int
    preparation: Preparation
    load: Callable[[Path], nn.Module]
    cuda_batch: int

    def encoder(self, weights: str | None, sha256: str | None, resources: Resources) -> NetworkEncoder:
        """The encoder, with the published weights or those of the file ``weights``.

        Raises :class:`~synthassay.errors.UserError` when the file is absent, wrong, or cannot be downloaded; see
        :func:`~synthassay.features.weights.found_weights`.
        """
        path, digest = found_weights(self.weights, weights, sha256)
        parts = self.preparation.parts() | {"encoder": self.name, "weights": digest, "layer": self.layer}
        return NetworkEncoder(
            name=self.name, identity=identity(**parts, dtype="float32"), dimension=self.dimension,
            load=partial(self._prepared, path), resources=resources, cuda_batch=self.cuda_batch,
        )  # fmt: skip

    def _prepared(self, path: Path) -> PreparedNetwork:
        return PreparedNetwork(self.preparation, self.load(path))


def fill(network: nn.Module, state: Mapping[str, Tensor], file: str) -> nn.Module:
    """``network``, made on the meta device, with the tensors of ``state`` in float32; names and shapes have to agree.

    Raises :class:`~synthassay.errors.UserError` that names the first tensor of ``file`` that does not fit.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    wrong = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    if wrong:
        name = wrong[0]
        words = [f"shape {list(s[name])}" if name in s else "none" for s in (found, expected)]
        raise UserError(f"{file} holds other weights than this encoder needs: {len(wrong)} tensors do not fit.\n"
                        f"The first is {name}: found {words[0]}, expected {words[1]}.")  # fmt: skip
    plain = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    network.load_state_dict(plain, assign=True)
    return network
