"""The settings and their YAML."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from synthassay.metrics.specs import FidelitySpec

CONF = Path(__file__).parents[2] / "conf" / "metric"


def test_the_yaml_writes_out_every_field_with_its_default():
    written = yaml.safe_load((CONF / "default.yaml").read_text(encoding="utf-8"))
    assert written.pop("_target_") == "synthassay.metrics.specs.FidelitySpec"
    assert written.keys() == FidelitySpec.model_fields.keys()
    assert FidelitySpec(**written) == FidelitySpec()


@pytest.mark.parametrize("change", [{"k": 0}, {"groups": ("hospital",)}, {"groups": ("site", "site")}, {"kk": 5}])
def test_settings_that_mean_nothing_are_refused(change):
    with pytest.raises(ValidationError):
        FidelitySpec(**change)
