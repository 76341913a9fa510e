"""EDM: preconditioning, loss weight, noise levels, the network's view of the noise level."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.diffusion.family_specs import EdmNoiseSpec
from synthassay.generators.diffusion.objectives import Edm, loss_weight, preconditioning
from synthassay.generators.networks.specs import UNetSpec
from synthassay.generators.networks.unet import UNet
from synthassay.generators.training.scaling import SIGMA_DATA

SIGMA = torch.tensor([0.002, 0.1, 0.5, 3.0, 80.0], dtype=torch.float64)


def test_the_network_input_and_target_have_unit_variance_at_every_noise_level() -> None:
    c_skip, c_out, c_in, _ = preconditioning(SIGMA)
    data, noise = SIGMA_DATA**2, SIGMA.square()
    torch.testing.assert_close(c_in.square() * (data + noise), torch.ones_like(SIGMA))
    target = ((1 - c_skip).square() * data + c_skip.square() * noise) / c_out.square()  # equation 112
    torch.testing.assert_close(target, torch.ones_like(SIGMA))


def test_the_loss_weight_cancels_the_output_scale() -> None:
    _, c_out, _, _ = preconditioning(SIGMA)
    torch.testing.assert_close(loss_weight(SIGMA) * c_out.square(), torch.ones_like(SIGMA))


def test_a_silent_network_is_the_best_linear_denoiser_of_standardised_gaussian_data() -> None:
    denoiser = edm().double()  # MONAI starts its last convolution at 0
    x = torch.randn(5, 1, 16, 16, dtype=torch.float64)
    expected = x * (SIGMA_DATA**2 / (SIGMA_DATA**2 + SIGMA.square())).view(-1, 1, 1, 1)
    torch.testing.assert_close(denoiser(x, SIGMA, nothing(5, x.dtype)), expected)


def small_unet(patch: int = 2) -> UNetSpec:
    return UNetSpec(
        patch=patch, channels=(8, 16), res_blocks=(1, 1), attention=(False, True), norm_groups=4, head_channels=8
    )


LABELS = Vocabulary(("label",), (("0", "1"),))


def edm(channels: int = 1, scale: float = 1000.0) -> Edm:
    network = small_unet().model_copy(update={"time_scale": scale})
    return Edm(UNet(network, channels, 2, LABELS), EdmNoiseSpec())


def nothing(n: int, dtype: torch.dtype = torch.float32) -> Condition:
    return Condition(torch.zeros(n, 1, dtype=torch.long), torch.zeros(n, 0, dtype=dtype), torch.zeros(n, 0, 1, 1))


def timesteps_seen(scale: float, sigma: Tensor) -> Tensor:
    denoiser = edm(scale=scale)
    seen: list[Tensor] = []
    denoiser.network.unet.register_forward_pre_hook(lambda _, __, kw: seen.append(kw["timesteps"]), with_kwargs=True)
    denoiser(torch.zeros(len(sigma), 1, 16, 16), sigma, nothing(len(sigma)))
    return seen[0]


def test_the_noise_level_spans_the_range_that_monai_embeds() -> None:
    sigma = torch.tensor([0.002, 80.0])
    times = timesteps_seen(1000.0, sigma)
    torch.testing.assert_close(times, 1000 * sigma.log() / 4)
    slowest = 10_000 ** (
        -(8 // 2 - 1) / (8 // 2)
    )  # of 8 embedding channels: turns by radians over the range, not by less
    assert float(times.diff().abs()) * slowest > 1
    assert float(timesteps_seen(1.0, sigma).diff().abs()) * slowest < 0.01


def test_folding_into_patches_loses_no_pixel() -> None:
    denoiser = edm(channels=3)
    assert denoiser.network.unet.in_channels == 12
    denoiser.network.unet.forward = lambda x, timesteps, class_labels: x  # type: ignore[method-assign]
    x, sigma = torch.randn(2, 3, 16, 16), torch.tensor([0.5, 2.0])
    c_skip, c_out, c_in, _ = (c.view(-1, 1, 1, 1) for c in preconditioning(sigma))
    torch.testing.assert_close(denoiser(x, sigma, nothing(2)), (c_skip + c_out * c_in) * x)


def test_noise_levels_are_lognormal_and_stratified() -> None:
    generator = torch.Generator().manual_seed(0)
    spec, objective = EdmNoiseSpec(), edm()
    logs = torch.stack([objective.levels(16, generator).log() for _ in range(500)])
    assert float(logs.mean()) == pytest.approx(-1.2, abs=0.02)
    assert float(logs.std()) == pytest.approx(1.2, abs=0.03)
    assert float(logs[:, 0].std()) == pytest.approx(1.2, abs=0.12)  # each place alone has the whole distribution
    quantile = torch.special.ndtr((logs - spec.p_mean) / spec.p_std)
    strata = (quantile * 16).floor().clamp(0, 15).sort(1).values
    torch.testing.assert_close(strata, torch.arange(16.0).expand_as(strata))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": (8, 16), "res_blocks": (1,), "attention": (False, True)}, "same number"),
        ({"channels": (12, 16), "res_blocks": (1, 1), "attention": (False, True)}, "multiples of norm_groups=8"),
        ({"channels": (8, 24), "res_blocks": (1, 1), "attention": (False, False)}, "multiples of head_channels"),
    ],
)
def test_network_settings_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UNetSpec(**settings)
