"""MONAI's ``DiffusionModelUNet`` in 2D and 3D, with conditions as an embedding and masks as further channels."""

from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from torch import Tensor, nn

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.conditioning.embedding import Embedder
from synthassay.generators.networks.folding import fold, unfold
from synthassay.generators.networks.specs import UNetSpec


class UNet(nn.Module):
    """F(x; time, condition) on images folded by ``spec.patch``."""

    def __init__(self, spec: UNetSpec, channels: int, spatial_dims: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.patch, self.time_scale = spec.patch, spec.time_scale
        cells = spec.patch**spatial_dims
        self.unet = DiffusionModelUNet(
            spatial_dims=spatial_dims,
            in_channels=(channels + vocabulary.planes) * cells,
            out_channels=channels * cells,
            num_res_blocks=spec.res_blocks,
            channels=spec.channels,
            attention_levels=spec.attention,
            norm_num_groups=spec.norm_groups,
            num_head_channels=spec.head_channels,
            num_class_embeds=1,
            use_flash_attention=True,  # the same sums, without the matrix of all pairs in memory
        )
        # MONAI adds what this returns to the embedding of the time. It is given our embedding instead of an index.
        self.unet.class_embedding = nn.Identity()  # type: ignore[assignment]
        self.embedder = Embedder(vocabulary.sizes, len(vocabulary.measured), 4 * spec.channels[0])

    def forward(self, x: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """``x`` ``[b, c, *s]``, ``time`` ``[b]`` of order 1 → ``[b, c, *s]``, in the dtype of the autocast."""
        # MONAI embeds timesteps of 0 to 1000 with periods of 2π to 2π·10,000. EDM's ln(σ)/4 spans −1.6 to 1.1:
        # unscaled, all but the fastest sinusoids stay constant over it, and the network draws blobs.
        time = self.time_scale * time
        x = condition.beside(x)
        embedding = self.embedder(condition.codes, condition.values)
        return unfold(self.unet(fold(x, self.patch), timesteps=time, class_labels=embedding), self.patch)
