"""Tiny bundles, pipelines and zips with random weights, and hostile ones."""

import io
import json
import os
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from safetensors.torch import save_file
from torch import nn

from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources

CPU = Resources(device="cpu", threads=1)
UNET = {"channels": [8, 16], "attention_levels": [False, True], "num_res_blocks": 1, "num_head_channels": 8,
        "norm_num_groups": 4}  # fmt: skip
ENCODER = {"channels": [8, 8], "attention_levels": [False, False], "num_res_blocks": 1, "norm_num_groups": 4,
           "latent_channels": 2, "with_encoder_nonlocal_attn": False, "with_decoder_nonlocal_attn": False}  # fmt: skip


class Hostile:
    """Unpickling it writes a file."""

    def __init__(self, evidence: Path) -> None:
        self.evidence = evidence

    def __reduce__(self):
        return os.system, (f"touch '{self.evidence}'",)


def like(channels=1, *size: int) -> ImageSet:
    """A cohort of two images and two classes."""
    ids = np.array(["a", "b"])
    return ImageSet(
        name="real", origin="real", pixels=np.zeros((2, channels, *(size or (16, 16))), np.uint8), ids=ids,
        patients=ids, labels=np.array([0, 1]), label_names=("no finding", "lesion"),
    )  # fmt: skip


def sampler_of(spec, workdir: Path, cohort: ImageSet | None = None):
    """What the stages do: the card first, then the sampler."""
    family = spec.build()
    family.fit(like() if cohort is None else cohort, workdir, seed=0, resources=CPU, progress=SilentProgress())
    return spec.build().load(workdir, CPU)


def randomised(network: nn.Module, seed=0) -> nn.Module:
    """Every weight drawn anew: fresh U-Nets end in zeros, and would draw the same whatever they are told."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            scale = 5.0 if "class_embedding" in name else 0.1  # so that classes differ well beyond rounding
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return network


def write_bundle(root: Path, *, dims=2, classes=None, latent=False, pickled=True, scheduler=None, **entries) -> Path:
    """A bundle that draws 16 × 16 pixels (8 × 8 × 8 voxels in 3D, or twice that from a latent)."""
    (root / "configs").mkdir(parents=True)
    (root / "models").mkdir()
    channels = 2 if latent else 1
    unet = {"spatial_dims": dims, "in_channels": channels, "out_channels": channels, **UNET}
    if classes is not None:
        unet["num_class_embeds"] = classes
    side = 8 if latent or dims == 3 else 16
    config = {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "spatial_dims": dims,
        "network_def": {"_target_": "monai.networks.nets.DiffusionModelUNet", **unet, "spatial_dims": "@spatial_dims"},
        "noise_scheduler": scheduler or {"_target_": "DDIMScheduler", "num_train_timesteps": 20},
        "set_timesteps": "$@noise_scheduler.set_timesteps(num_inference_steps=3)",
        "latent_shape": [channels] + [side] * dims,
        "inferer": {"_target_": "scripts.sampler.Sampler"},
    }
    _save(randomised(DiffusionModelUNet(**unet)).state_dict(), root / "models" / "model.pt", pickled)
    if latent:
        encoder = {"spatial_dims": dims, **ENCODER}
        config["autoencoder_def"] = {"_target_": "AutoencoderKL", **encoder}
        _save(randomised(AutoencoderKL(**encoder), 1).state_dict(), root / "models" / "model_autoencoder.pt", pickled)
    (root / "configs" / "inference.json").write_text(json.dumps({**config, **entries}))
    stated = {"outputs": {"pred": {"value_range": [-2, 2]}}}
    (root / "configs" / "metadata.json").write_text(
        json.dumps({"network_data_format": stated, "autoencoder_data_format": stated})
    )
    return root


def _save(state, path: Path, pickled: bool) -> None:
    if pickled:
        torch.save(state, path)
    else:
        save_file(state, path.with_suffix(".safetensors"))


def write_pipeline(root: Path, *, scheduler=None, classes=None, latent=False, channels=1) -> Path:
    """A diffusers pipeline that draws 16 × 16 pixels."""
    import diffusers

    torch.manual_seed(0)
    inner = 2 if latent else channels
    unet = diffusers.UNet2DModel(
        sample_size=8 if latent else 16, in_channels=inner, out_channels=inner, layers_per_block=1,
        block_out_channels=(8, 16), norm_num_groups=4, attention_head_dim=8, num_class_embeds=classes,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    randomised(unet).save_pretrained(root / "unet")
    made = scheduler or diffusers.DDPMScheduler(num_train_timesteps=6)
    made.save_pretrained(root / "scheduler")
    index = {"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"],
             "scheduler": ["diffusers", type(made).__name__]}  # fmt: skip
    if latent:
        decoder = diffusers.AutoencoderKL(
            in_channels=channels, out_channels=channels, latent_channels=2, block_out_channels=(8, 8),
            norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip
        randomised(decoder).save_pretrained(root / "vae")
        index["vae"] = ["diffusers", "AutoencoderKL"]
    (root / "model_index.json").write_text(json.dumps(index))
    return root


def dcgan_network(length=12) -> nn.Sequential:
    """The generator of PyTorch's own tutorial, for 16 × 16 pixels."""
    layers = OrderedDict(
        c1=nn.ConvTranspose2d(length, 8, 4, 1, 0, bias=False), n1=nn.BatchNorm2d(8), a1=nn.ReLU(),
        c2=nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False), n2=nn.BatchNorm2d(4), a2=nn.ReLU(),
        c3=nn.ConvTranspose2d(4, 1, 4, 2, 1, bias=False), last=nn.Tanh(),
    )  # fmt: skip
    network = nn.Sequential(layers)
    torch.manual_seed(3)
    for layer in (network.c1, network.c2, network.c3):
        nn.init.normal_(layer.weight, 0.0, 0.3)
    for layer in (network.n1, network.n2):
        layer.running_mean.uniform_(-0.2, 0.2)
        layer.running_var.uniform_(0.5, 1.5)
    return network.eval()


def pickled(content) -> bytes:
    """What ``torch.save`` writes."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def write_zip(path: Path, **files: bytes) -> Path:
    """A medigan-style zip: code that must not run, and ``files`` (``__`` stands for a dot in their names)."""
    with zipfile.ZipFile(path, "w") as archive:
        code = f"open({str(path.with_suffix('.ran'))!r}, 'w')\ndef generate(**settings): ...\n"
        archive.writestr("PACKAGE/__init__.py", code)
        for name, data in files.items():
            archive.writestr("PACKAGE/" + name.replace("__", "."), data)
    return path
