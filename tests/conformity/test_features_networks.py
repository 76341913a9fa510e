"""Encoders' networks against the libraries that published them, on random weights in the published formats."""

import numpy as np
import pytest
import torch
from torch import nn

from synthassay.features.convnets import load_torchxrayvision
from synthassay.features.medicalnet import residual_network
from synthassay.features.preparation import RESIZES
from synthassay.features.vit import CLIP, META, TRANSFORMERS, VitShape, load_vit

PIXELS = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))


def randomised(network, seed=0):
    """Weights and running statistics under which every part of a network matters."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2, generator=generator)
    for name, buffer in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            nn.init.uniform_(buffer, 0.5, 1.5, generator=generator)
    return network.eval()


def agree(ours, theirs):
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * float(theirs.std()))


@pytest.mark.slow
def test_rad_dinos_format_and_network_are_those_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14, "image_size": 56}
    theirs = randomised(transformers.Dinov2Model(transformers.Dinov2Config(**sizes)))
    theirs.save_pretrained(tmp_path)
    shape = VitShape(width=24, depth=2, heads=2)
    ours = load_vit(tmp_path / "model.safetensors", shape, TRANSFORMERS, 56).eval()
    with torch.inference_mode():
        agree(ours(PIXELS), theirs(PIXELS).pooler_output)


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True], ids=["image half", "both halves"])
def test_clips_format_and_network_are_those_of_transformers(tmp_path, whole):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    sizes = {"hidden_size": 24, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = sizes | {"patch_size": 14, "image_size": 56}
    if whole:
        text = sizes | {"vocab_size": 20, "eos_token_id": 1, "bos_token_id": 0}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
        theirs = randomised(transformers.CLIPModel(config))
    else:
        config = transformers.CLIPVisionConfig(**vision, projection_dim=8)
        theirs = randomised(transformers.CLIPVisionModelWithProjection(config))
    theirs.save_pretrained(tmp_path)
    shape = VitShape(width=24, depth=2, heads=2, projection=8)
    ours = load_vit(tmp_path / "model.safetensors", shape, CLIP, 56).eval()
    with torch.inference_mode():
        pooled = theirs.vision_model(PIXELS).pooler_output
        agree(ours(PIXELS), theirs.visual_projection(pooled))


def test_dinov2s_format_and_network_are_those_of_timm(tmp_path):
    timm = pytest.importorskip("timm.models.vision_transformer", reason="needs timm")
    sizes = {"embed_dim": 24, "depth": 2, "num_heads": 2, "patch_size": 14, "img_size": 56}
    theirs = randomised(timm.VisionTransformer(**sizes, init_values=1, num_classes=0))
    torch.save(theirs.state_dict() | {"mask_token": torch.zeros(1, 24)}, tmp_path / "w.pth")
    ours = load_vit(tmp_path / "w.pth", VitShape(width=24, depth=2, heads=2), META, 56).eval()
    with torch.inference_mode():
        agree(ours(PIXELS), theirs(PIXELS))


@pytest.mark.parametrize("new_format", [True, False])
def test_torchxrayvisions_own_module_is_read_and_gives_its_own_features(tmp_path, new_format):
    xrv = pytest.importorskip("torchxrayvision", reason="needs torchxrayvision")
    torch.manual_seed(0)
    theirs = xrv.models.DenseNet(num_classes=18, in_channels=1).eval()
    torch.save(theirs, tmp_path / "w.pt", _use_new_zipfile_serialization=new_format)
    ours = load_torchxrayvision(tmp_path / "w.pt").eval()
    pixels = torch.rand(1, 1, 224, 224) * 2048 - 1024
    with torch.inference_mode():
        agree(ours(pixels), theirs.features2(pixels))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "block", "layers", "shortcut"),
    [
        (10, "BasicBlock", [1, 1, 1, 1], "B"),
        (18, "BasicBlock", [2, 2, 2, 2], "A"),
        (50, "Bottleneck", [3, 4, 6, 3], "B"),
    ],
)
def test_medicalnet_is_the_original_dilated_network(depth, block, layers, shortcut):
    medmetric = pytest.importorskip("medmetric.models.resnet", reason="needs medmetric")
    theirs = medmetric.medicalnet_resnet(block, layers, shortcut_type=shortcut, no_cuda=True).eval()
    ours = residual_network(depth).eval()
    ours.load_state_dict(theirs.backbone.state_dict())
    volumes = torch.rand(1, 1, 40, 36, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        agree(ours(volumes), theirs(volumes))


@pytest.mark.parametrize("size", [(64, 64), (400, 512), (300, 300), (299, 299)])
def test_the_clean_resizing_is_clean_fids(size):
    resize = pytest.importorskip("cleanfid.resize", reason="needs clean-fid").build_resizer("clean")
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    expected = resize(pixels).transpose(2, 0, 1)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    found = RESIZES["pil-bicubic"](images, 299).clamp(0, 255)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)  # of 255
