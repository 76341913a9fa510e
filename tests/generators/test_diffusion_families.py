"""What only families that denoise can do: EDM2's averages, guidance; and conditions of every kind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.generators.diffusion.specs import GuidanceSpec, KarrasSpec, SamplingSpec
from tests.generators.families import CPU, StopAt, edm2, family, fit, tiny, toy_images

pytestmark = pytest.mark.usefixtures("one_thread")


def test_edm2_trains_resumes_and_samples_an_average_of_any_width(tmp_path: Path) -> None:
    spec = edm2()
    fit(spec, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(spec, tmp_path / "broken", progress=StopAt(7))
    fit(spec, tmp_path / "broken")
    names = {"00000004.average.safetensors", "00000004.average-2.safetensors", "00000008.average-2.safetensors"}
    assert {path.name for path in (tmp_path / "whole/snapshots").iterdir()} == names
    for path in (path for path in (tmp_path / "whole").rglob("*") if path.is_file()):
        other = tmp_path / "broken" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes(), path.name
    seeds, label = np.arange(2), {"label": np.arange(2)}
    first = family(spec).load(tmp_path / "whole", CPU).sample(seeds, label)
    narrow = family(spec.model_copy(update={"ema_width": 0.05})).load(tmp_path / "whole", CPU).sample(seeds, label)
    np.testing.assert_allclose(narrow, first, atol=1e-4)  # the first average is the one of this width
    wide = family(spec.model_copy(update={"ema_width": 0.08})).load(tmp_path / "whole", CPU).sample(seeds, label)
    assert np.abs(wide - first).max() > 1e-4
    assert spec.model_copy(update={"ema_width": 0.08}).training_key() == spec.training_key()


def test_edm2_learns_the_condition(tmp_path: Path) -> None:
    spec = edm2(steps=150, batch_size=16, log_every=30)
    fit(spec, tmp_path, toy_images(64))
    images = family(spec).load(tmp_path, CPU).sample(np.arange(32), {"label": np.arange(32) % 2})
    centre = images[:, 0, 6:10, 6:10].mean((1, 2))
    assert centre[1::2].mean() - centre[0::2].mean() > 0.15


@pytest.mark.parametrize("guidance", ["cfg", "weaker"])
def test_guidance_pushes_the_conditions_apart_without_another_training(guidance: str, tmp_path: Path) -> None:
    spec = tiny("edm", steps=100, batch_size=16, log_every=50)
    fit(spec, tmp_path, toy_images(64))
    gap = {}
    for scale in (1.0, 3.0):
        schedule = KarrasSpec(sigma_max=80.0)
        sampling = SamplingSpec(steps=6, schedule=schedule, guidance=GuidanceSpec(kind=guidance, scale=scale))
        guided = spec.model_copy(update={"sampling": sampling})
        assert guided.training_key() == spec.training_key()
        images = family(guided).load(tmp_path, CPU).sample(np.arange(32), {"label": np.arange(32) % 2})
        centre = images[:, 0, 6:10, 6:10].mean((1, 2))
        gap[scale] = centre[1::2].mean() - centre[0::2].mean()
    assert gap[3.0] > gap[1.0]


def test_a_training_without_an_earlier_state_cannot_guide_by_it(tmp_path: Path) -> None:
    guidance = SamplingSpec(steps=6, guidance=GuidanceSpec(kind="weaker", scale=2.0))
    spec = tiny("edm", steps=2, snapshots=1).model_copy(update={"sampling": guidance})
    fit(spec, tmp_path)
    with pytest.raises(UserError, match=r"kind=weaker needs an earlier state.*\n.*snapshots of at least 2"):
        family(spec).load(tmp_path, CPU)


def test_the_state_that_guides_is_not_one_to_sample_from(tmp_path: Path) -> None:
    plain = tiny("edm", steps=4, snapshots=2)
    fit(plain, tmp_path)
    guidance = SamplingSpec(steps=6, guidance=GuidanceSpec(kind="weaker", scale=2.0))
    guided = plain.model_copy(update={"sampling": guidance})
    assert (family(plain).snapshots(tmp_path), family(guided).snapshots(tmp_path)) == ((2, 4), (4,))
    family(guided).load(tmp_path, CPU, 4).sample(np.arange(2), {})
    with pytest.raises(UserError, match="needs an earlier state of the training than that after step 2"):
        family(guided).load(tmp_path, CPU, 2)


def test_volumes_masks_and_numbers_are_conditions_too(tmp_path: Path) -> None:
    flat = toy_images(12)
    volume = np.repeat(flat.pixels[:, :, None], 16, 2)
    masks = (volume[:, 0] > 90).astype(np.uint8)
    masks[3] = 255
    position = np.linspace(0, 1, 12, dtype=np.float32)
    position[5] = np.nan
    images = replace(
        flat, pixels=volume, masks=masks, mask_names=("ground", "disc"), covariates={"slice_position": position},
        content_id="",
    )  # fmt: skip
    for kind in ("edm", "flow", "vae"):
        spec = tiny(kind, steps=2, condition_on=("label", "slice_position", "mask"))
        fit(spec, tmp_path / kind, images)
        sampler = family(spec).load(tmp_path / kind, CPU)
        given = {"label": flat.labels[:3], "slice_position": position[:3], "mask": masks[:3]}
        drawn = sampler.sample(np.arange(3), given)
        assert drawn.shape == (3, 1, 16, 16, 16)
        assert np.isfinite(drawn).all()
        assert np.isfinite(sampler.sample(np.arange(3), {"label": flat.labels[:3]})).all()
        with pytest.raises(UserError, match="class 7 was not in the training masks"):
            sampler.sample(np.arange(3), given | {"mask": np.full_like(masks[:3], 7)})
