"""Vision transformers on torchvision's: DINOv2, RAD-DINO and the image half of CLIP ViT-L/14-336."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vision_transformer import VisionTransformer

from synthassay.errors import UserError
from synthassay.features.preparation import Preparation
from synthassay.features.pretrained import Pretrained, fill
from synthassay.features.weights import PinnedFile, read_tensors

_DINOV2 = "https://dl.fbaipublicfiles.com/dinov2"
_HUB = "https://huggingface.co"
WEIGHTS = {
    "dinov2-vitb14": PinnedFile(
        name="dinov2_vitb14_pretrain.pth", url=f"{_DINOV2}/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
        sha256="0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73", size=346_378_731,
    ),
    "dinov2-vitl14": PinnedFile(
        name="dinov2_vitl14_pretrain.pth", url=f"{_DINOV2}/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428", size=1_217_586_395,
    ),
    "rad-dino": PinnedFile(
        name="rad-dino.safetensors",
        url=f"{_HUB}/microsoft/rad-dino/resolve/110cbc18d5133582e320b43d53bf5c44e410c936/model.safetensors",
        sha256="dbfb9f54459c38773505de64a6ab7807bdcb392610fe1e697166342e43fb91ae", size=346_345_912,
    ),
    "clip-vitl14-336": PinnedFile(
        name="clip-vit-large-patch14-336.bin",
        url=f"{_HUB}/openai/clip-vit-large-patch14-336/resolve/ce19dc912ca5cd21c8a653c79e251e808ccabcd1/pytorch_model.bin",
        sha256="c6032c2e0caae3dc2d4fba35535fa6307dbb49df59c7e182b1bc4b3329b81801", size=1_711_974_081,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class VitShape:
    """Sizes of a network. ``projection`` is the width of CLIP's image embedding; 0 means a DINOv2 network."""

    width: int
    depth: int
    heads: int
    patch: int = 14
    projection: int = 0


BASE, LARGE = VitShape(width=768, depth=12, heads=12), VitShape(width=1024, depth=24, heads=16)
CLIP_LARGE = VitShape(width=1024, depth=24, heads=16, projection=768)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How a published file calls the tensors of a ViT; those of block i begin with ``block.format(i)``.

    ``attention`` is one stacked projection, or those of query, key and value. ``scales`` are DINOv2's LayerScales
    after attention and after the MLP.
    """

    class_token: str
    positions: str
    patches: str
    norm: str
    block: str
    norms: tuple[str, str]
    attention: tuple[str, ...]
    output: str
    mlp: tuple[str, str]
    scales: tuple[str, str] | None = None
    first_norm: str = ""
    projection: str = ""


META = Naming(
    class_token="cls_token", positions="pos_embed", patches="patch_embed.proj", norm="norm", block="blocks.{}.",
    norms=("norm1", "norm2"), attention=("attn.qkv",), output="attn.proj", mlp=("mlp.fc1", "mlp.fc2"),
    scales=("ls1.gamma", "ls2.gamma"),
)  # fmt: skip
TRANSFORMERS = Naming(
    class_token="embeddings.cls_token", positions="embeddings.position_embeddings",
    patches="embeddings.patch_embeddings.projection", norm="layernorm", block="encoder.layer.{}.",
    norms=("norm1", "norm2"), attention=tuple(f"attention.attention.{p}" for p in ("query", "key", "value")),
    output="attention.output.dense", mlp=("mlp.fc1", "mlp.fc2"),
    scales=("layer_scale1.lambda1", "layer_scale2.lambda1"),
)  # fmt: skip
CLIP = Naming(
    class_token="vision_model.embeddings.class_embedding", norm="vision_model.post_layernorm",
    positions="vision_model.embeddings.position_embedding.weight", patches="vision_model.embeddings.patch_embedding",
    block="vision_model.encoder.layers.{}.", norms=("layer_norm1", "layer_norm2"),
    attention=tuple(f"self_attn.{p}_proj" for p in "qkv"), output="self_attn.out_proj", mlp=("mlp.fc1", "mlp.fc2"),
    first_norm="vision_model.pre_layrnorm", projection="visual_projection",
)  # fmt: skip

CLIP_MEAN, CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_CLASS_TOKEN = "class token after the last norm, positions resampled as DINOv2 does"


def dinov2(kind: str, resolution: int) -> Pretrained:
    """DINOv2 (Oquab et al. 2024, arXiv 2304.07193), ``kind`` ``"dinov2-vitb14"`` or ``"dinov2-vitl14"``.

    At 224 pixels its features are those of the FD-DINOv2 of Stein et al. 2023 (arXiv 2306.04675) with its clean resize.
    """
    shape = BASE if kind == "dinov2-vitb14" else LARGE
    load = partial(load_vit, shape=shape, naming=META, resolution=resolution)
    return Pretrained(
        name=kind, weights=WEIGHTS[kind], layer=_CLASS_TOKEN, dimension=shape.width, load=load, cuda_batch=64,
        preparation=Preparation(resolution=resolution),
    )  # fmt: skip


def rad_dino(resolution: int) -> Pretrained:
    """RAD-DINO (Pérez-García et al. 2025, arXiv 2401.10815): DINOv2 ViT-B/14 trained on chest radiographs at 518²."""
    load = partial(load_vit, shape=BASE, naming=TRANSFORMERS, resolution=resolution)
    preparation = Preparation(resolution=resolution, mean=(0.5307,) * 3, deviation=(0.2583,) * 3)
    return Pretrained(
        name="rad-dino", weights=WEIGHTS["rad-dino"], layer=_CLASS_TOKEN, dimension=BASE.width, load=load,
        preparation=preparation, cuda_batch=16,
    )  # fmt: skip


def clip() -> Pretrained:
    """The image embedding of CLIP ViT-L/14-336 (Radford et al. 2021, arXiv 2103.00020), as in CMMD; not normalised.

    CMMD's own code (Jayasumana et al. 2024, arXiv 2401.09603) resizes with the same bicubic filter, in JAX.
    """
    return Pretrained(
        name="clip-vitl14-336", weights=WEIGHTS["clip-vitl14-336"], layer="projected image embedding, not normalised",
        dimension=CLIP_LARGE.projection, load=partial(load_vit, shape=CLIP_LARGE, naming=CLIP, resolution=336),
        preparation=Preparation(resolution=336, mean=CLIP_MEAN, deviation=CLIP_DEVIATION), cuda_batch=32,
    )  # fmt: skip


def load_vit(path: Path, shape: VitShape, naming: Naming, resolution: int) -> nn.Module:
    """The network with the weights at ``path``: ``[b, 3, r, r]`` → its features of the class token."""
    with torch.device("meta"):
        network = vision_transformer(shape, resolution)
    state = read_tensors(path)
    try:
        width, beyond = state[naming.class_token].numel(), naming.block.format(shape.depth)
        if width != shape.width or any(name.startswith(beyond) for name in state):
            raise UserError(f"{path.name} holds other weights than this encoder needs: they are {width} wide, and this "
                            f"network is {shape.width} wide and {shape.depth} blocks deep")  # fmt: skip
        return fill(network, translated(state, shape, naming, resolution // shape.patch), path.name)
    except KeyError as missing:
        raise UserError(f"{path.name} holds other weights than this encoder needs: it lacks {missing}") from None


def vision_transformer(shape: VitShape, resolution: int) -> VisionTransformer:
    """torchvision's ViT with what DINOv2 and CLIP changed; its initial weights mean nothing."""
    norm = partial(nn.LayerNorm, eps=1e-5 if shape.projection else 1e-6)
    network = VisionTransformer(
        image_size=resolution, patch_size=shape.patch, num_layers=shape.depth, num_heads=shape.heads,
        hidden_dim=shape.width, mlp_dim=4 * shape.width, norm_layer=norm,
    )  # fmt: skip
    network.heads = nn.Sequential()
    if shape.projection:
        network.conv_proj = nn.Conv2d(3, shape.width, shape.patch, shape.patch, bias=False)
        # CLIP normalises once more before the first block, where torchvision has a dropout that does nothing here.
        network.encoder.dropout = norm(shape.width)
        network.heads = nn.Sequential(nn.Linear(shape.width, shape.projection, bias=False))
        for block in network.encoder.layers:
            block.mlp[1] = QuickGelu()
    return network


class QuickGelu(nn.Module):
    """x·σ(1.702x), the approximation that CLIP was trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x * torch.sigmoid(1.702 * x)


def translated(state: Mapping[str, Tensor], shape: VitShape, naming: Naming, grid: int) -> dict[str, Tensor]:
    """The tensors of a published file under torchvision's names, for ``grid``² patches.

    A LayerScale multiplies the output of the linear layer before it, so it is multiplied into that layer. Raises
    ``KeyError`` with the name of a tensor that the file lacks.
    """
    positions = state[naming.positions].reshape(1, -1, shape.width)
    found = {
        "class_token": state[naming.class_token].reshape(1, 1, -1),
        "encoder.pos_embedding": resampled(positions.float(), grid),
        "conv_proj.weight": state[f"{naming.patches}.weight"],
    }
    pairs = {"encoder.ln": naming.norm}
    if shape.projection:
        pairs["encoder.dropout"] = naming.first_norm
        found["heads.0.weight"] = state[f"{naming.projection}.weight"]
    else:
        found["conv_proj.bias"] = state[f"{naming.patches}.bias"]
    for i in range(shape.depth):
        old, new = naming.block.format(i), f"encoder.layers.encoder_layer_{i}."
        names = (*naming.norms, naming.output, *naming.mlp)
        pairs |= {new + a: old + b for a, b in zip(_BLOCK, names, strict=True)}
        for part in ("weight", "bias"):
            stacked = torch.cat([state[f"{old}{name}.{part}"] for name in naming.attention])
            found[f"{new}self_attention.in_proj_{part}"] = stacked
    found |= {f"{a}.{part}": state[f"{b}.{part}"] for a, b in pairs.items() for part in ("weight", "bias")}
    return _scaled(found, state, shape.depth, naming) if naming.scales else found


# torchvision's names of the linear layers and norms of a block, in the order of Naming's.
_BLOCK = ("ln_1", "ln_2", "self_attention.out_proj", "mlp.0", "mlp.3")


def _scaled(found: dict[str, Tensor], state: Mapping[str, Tensor], depth: int, naming: Naming) -> dict[str, Tensor]:
    for i in range(depth):
        for layer, scale in zip(("self_attention.out_proj", "mlp.3"), naming.scales or (), strict=True):
            gamma, name = state[naming.block.format(i) + scale], f"encoder.layers.encoder_layer_{i}.{layer}"
            found[f"{name}.weight"] = found[f"{name}.weight"] * gamma[:, None]
            found[f"{name}.bias"] = found[f"{name}.bias"] * gamma
    return found


def resampled(positions: Tensor, grid: int) -> Tensor:
    """Position embeddings ``[1, 1 + g², d]`` for ``grid``² patches, by DINOv2's rule.

    Bicubic, by a factor of (grid + 0.1) / g: the 0.1 guarded against rounding when DINOv2 was published, and its
    features depend on it.
    """
    side = round((positions.shape[1] - 1) ** 0.5)
    if side == grid:
        return positions
    patches = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    factor = (grid + 0.1) / side
    patches = F.interpolate(patches, scale_factor=(factor, factor), mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1], patches.flatten(2).transpose(1, 2)], dim=1)
