"""EDM2's network with conditions as an embedding and masks as further channels."""

from torch import Tensor, nn

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.conditioning.embedding import Embedder
from synthassay.generators.networks.magnitude_preserving import MagnitudePreservingUNet
from synthassay.generators.networks.specs import MagnitudePreservingSpec


class Edm2UNet(nn.Module):
    """F(x; time, condition), to be brought back to unit weights after each update (``magnitudes.enforce``)."""

    def __init__(self, spec: MagnitudePreservingSpec, channels: int, spatial_dims: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        width = max(spec.channels) if vocabulary.sizes or vocabulary.measured else None
        inputs = channels + vocabulary.planes
        self.unet = MagnitudePreservingUNet(spec, spatial_dims, inputs, channels, width)
        self.embedder = Embedder(vocabulary.sizes, len(vocabulary.measured), width) if width else None

    def forward(self, x: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """``x`` ``[b, c, *s]``, ``time`` ``[b]`` of order 1 → ``[b, c, *s]``."""
        embedding = self.embedder(condition.codes, condition.values) if self.embedder is not None else None
        output: Tensor = self.unet(condition.beside(x), time, embedding)
        return output
