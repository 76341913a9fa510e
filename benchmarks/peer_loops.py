"""The training loops of MONAI's and diffusers' tutorials, around a network that is given.

MONAI: ``2d_ddpm_tutorial.ipynb`` of its tutorials: dictionary transforms, a dataset cached in memory, Adam, float16
autocast with a gradient scaler, its linear schedule. diffusers: ``train_unconditional.py`` without accelerate, which on
one device changes nothing: AdamW with the script's settings, clipping at 1, its average of the weights, float32. Images
are arrays in memory in both (the tutorials read files once or each time), so that decoding is not what is compared.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.networks.schedulers import DDIMScheduler as MonaiDdim
from monai.networks.schedulers import DDPMScheduler as MonaiScheduler
from monai.transforms import Compose, EnsureChannelFirstd, EnsureTyped, RandAffined, ScaleIntensityRanged
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Network = Callable[[Tensor, Tensor], Tensor]  # (x_t [b, c, h, w], timesteps [b]) → predicted noise


def mean_square(network: Network, noisy: Tensor, timesteps: Tensor, noise: Tensor) -> Tensor:
    """The loss of both."""
    return functional.mse_loss(network(noisy, timesteps).float(), noise.float())


def endless(loader: Any) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader


class MonaiLoop:
    """One step a call; ``amp``: float16 (bfloat16 on a CPU) with a scaler, as the tutorial; else float32."""

    def __init__(
        self, module: nn.Module, network: Network, images: NDArray[np.uint8], batch: int, device: torch.device,
        *, amp: torch.dtype | None, workers: int = 4, augment: bool = True,
    ) -> None:  # fmt: skip
        self.network, self.device, self.amp, self.module = network, device, amp, module
        steps: list[Any] = [
            EnsureChannelFirstd(keys=["image"], channel_dim=0),
            ScaleIntensityRanged(keys=["image"], a_min=0.0, a_max=255.0, b_min=0.0, b_max=1.0, clip=True),
            EnsureTyped(keys=["image"]),
        ]
        if augment:  # as the tutorial; without it both see the same images
            moved = {"rotate_range": [(-np.pi / 36, np.pi / 36)] * 2, "translate_range": [(-1, 1)] * 2,
                     "scale_range": [(-0.05, 0.05)] * 2}  # fmt: skip
            steps.append(RandAffined(keys=["image"], spatial_size=images.shape[2:], padding_mode="zeros", prob=0.5,
                                     **moved))  # fmt: skip
        cached = CacheDataset([{"image": image} for image in images], Compose(steps), progress=False, num_workers=None)
        self.batches = endless(DataLoader(cached, batch_size=batch, shuffle=True, drop_last=True, num_workers=workers,
                                          persistent_workers=workers > 0))  # fmt: skip
        self.scheduler = MonaiScheduler(num_train_timesteps=1000)
        self.optimiser = torch.optim.Adam(module.parameters(), lr=2.5e-5)
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)

    def loss(self, images: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Of images that are as the tutorial scales them."""
        noisy = self.scheduler.add_noise(original_samples=images, noise=noise, timesteps=timesteps)
        with torch.autocast(self.device.type, self.amp or torch.bfloat16, enabled=self.amp is not None):
            return mean_square(self.network, noisy, timesteps, noise)

    def step(self) -> float:
        """One update. Its loss is read each time, as the tutorial's progress bar does."""
        images = next(self.batches)["image"].as_tensor().to(self.device)
        self.optimiser.zero_grad(set_to_none=True)
        noise = torch.randn_like(images)
        timesteps = torch.randint(0, 1000, (len(images),), device=self.device).long()
        loss = self.loss(images, noise, timesteps)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return loss.item()

    @torch.no_grad()
    def sample(self, n: int, shape: Sequence[int], steps: int) -> NDArray[np.float32]:
        """``[n, *shape]`` in [0, 1] from the weights themselves: 1,000 DDPM steps as the tutorial, or fewer of DDIM."""
        scheduler = self.scheduler if steps == 1000 else MonaiDdim(num_train_timesteps=1000)
        scheduler.set_timesteps(steps)
        x = torch.randn(n, *shape, device=self.device)
        for t in scheduler.timesteps:
            with torch.autocast(self.device.type, self.amp or torch.bfloat16, enabled=self.amp is not None):
                output = self.network(x, t.to(self.device).expand(n))
            x = scheduler.step(output.float(), int(t), x)[0]
        found: NDArray[np.float32] = x.clamp(0, 1).cpu().numpy()
        return found


class DiffusersLoop:
    """One step a call; ``amp``: the script's ``--mixed_precision``, off by default."""

    def __init__(
        self, module: nn.Module, network: Network, images: NDArray[np.uint8], batch: int, device: torch.device,
        *, amp: torch.dtype | None, workers: int = 0, augment: bool = False,
    ) -> None:  # fmt: skip
        from diffusers import DDPMScheduler
        from diffusers.optimization import get_scheduler
        from diffusers.training_utils import EMAModel
        from torchvision.transforms import v2

        self.network, self.device, self.amp, self.module = network, device, amp, module
        flips = [v2.RandomHorizontalFlip()] if augment else []
        steps = v2.Compose([*flips, v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])])
        self.batches = endless(torch.utils.data.DataLoader(
            _Transformed(images, steps), batch_size=batch, shuffle=True, drop_last=True, num_workers=workers,
            persistent_workers=workers > 0,
        ))  # fmt: skip
        self.scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear")
        self.optimiser = torch.optim.AdamW(module.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)
        self.rates = get_scheduler("cosine", self.optimiser, num_warmup_steps=500, num_training_steps=100_000)
        self.average = EMAModel(module.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75)
        self.average.to(device)

    def loss(self, images: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Of images that are as the script scales them."""
        noisy = self.scheduler.add_noise(images, noise, timesteps)
        with torch.autocast(self.device.type, self.amp or torch.bfloat16, enabled=self.amp is not None):
            return mean_square(self.network, noisy, timesteps, noise)

    def step(self) -> float:
        """One update. Its loss is logged each time, as the script does."""
        images = next(self.batches)["input"].to(self.device)
        noise = torch.randn(images.shape, device=self.device)
        timesteps = torch.randint(0, 1000, (len(images),), device=self.device).long()
        loss = self.loss(images, noise, timesteps)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimiser.step()
        self.rates.step()
        self.optimiser.zero_grad()
        self.average.step(self.module.parameters())
        return loss.detach().item()

    @torch.no_grad()
    def sample(self, n: int, shape: Sequence[int], steps: int) -> NDArray[np.float32]:
        """``[n, *shape]`` in [0, 1] from the average: 1,000 DDPM steps as the script, or fewer of DDIM."""
        from diffusers import DDIMScheduler

        scheduler = self.scheduler if steps == 1000 else DDIMScheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(steps)
        self.average.store(self.module.parameters())
        self.average.copy_to(self.module.parameters())
        x = torch.randn(n, *shape, device=self.device)
        for t in scheduler.timesteps:
            with torch.autocast(self.device.type, self.amp or torch.bfloat16, enabled=self.amp is not None):
                output = self.network(x, t.to(self.device).expand(n))
            x = scheduler.step(output.float(), t, x).prev_sample
        self.average.restore(self.module.parameters())
        found: NDArray[np.float32] = (x / 2 + 0.5).clamp(0, 1).cpu().numpy()
        return found


class _Transformed(torch.utils.data.Dataset[dict[str, Tensor]]):
    """One image at a time, as the script's dataset gives them."""

    def __init__(self, images: NDArray[np.uint8], transform: Callable[[Tensor], Tensor]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {"input": self.transform(torch.from_numpy(self.images[row]))}
