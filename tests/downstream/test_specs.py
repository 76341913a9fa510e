from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pydantic import ValidationError

from synthassay.downstream.specs import DenseNetSpec, DownstreamSpec, ResNetSpec

CONF = Path(__file__).parents[2] / "conf" / "downstream" / "default.yaml"
BUDGET = {"width": 16, "steps": 120, "batch_size": 32, "learning_rate": 2e-3, "seeds": [0, 1], "replicates": 500}


def load() -> DownstreamSpec:
    config = OmegaConf.create({"budget": {"downstream": BUDGET}, "downstream": OmegaConf.load(CONF)})
    spec = instantiate(config.downstream, _convert_="all")
    assert isinstance(spec, DownstreamSpec)
    return spec


def test_the_shipped_yaml_becomes_a_spec_and_takes_its_budget() -> None:
    spec = load()
    assert (spec.steps, spec.seeds, spec.intervals.replicates) == (120, (0, 1), 500)
    assert spec.network == ResNetSpec(width=16)


def test_the_shipped_yaml_writes_every_field_out() -> None:
    written = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    assert isinstance(written, dict)
    assert set(written) == {"_target_", *DownstreamSpec.model_fields}
    for part in ("network", "augmentation", "intervals"):
        assert set(written[part]) == {"_target_", *type(getattr(load(), part)).model_fields}, part


def test_two_networks_of_equal_width_have_other_keys() -> None:
    residual, dense = DownstreamSpec(network=ResNetSpec(width=8)), DownstreamSpec(network=DenseNetSpec(width=8))
    assert residual.to_key() != dense.to_key()
    assert residual.to_key()["network"]["kind"] == "resnet18"


@pytest.mark.parametrize("wrong", [{"seeds": (0, 0)}, {"seeds": ()}, {"steps": 0}, {"real_share": 1.0}, {"epochs": 3}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DownstreamSpec(**wrong)
