import sys
from pathlib import Path
from subprocess import run

import pytest
import yaml
from pydantic import ValidationError

from synthassay.privacy.specs import MemorisationSpec

RECIPE = Path(__file__).parents[2] / "conf" / "privacy" / "default.yaml"


def test_the_shipped_recipe_writes_out_every_default():
    recipe = yaml.safe_load(RECIPE.read_text())
    assert recipe.pop("_target_") == "synthassay.privacy.specs.MemorisationSpec"
    assert recipe.keys() == MemorisationSpec.model_fields.keys()
    fixed = {name: value for name, value in recipe.items() if not str(value).startswith("${budget.")}
    assert fixed.keys() >= recipe.keys() - {"panel_patients"}  # only the size of the panel is a matter of budget
    assert MemorisationSpec(**fixed) == MemorisationSpec()


@pytest.mark.parametrize(
    "wrong",
    [{"panel_kinds": ("exact", "exact")}, {"panel_kinds": ("cropped",)}, {"false_alarms": 0.0}, {"neighbours": 0},
     {"unknown": 1}],
)  # fmt: skip
def test_a_senseless_setting_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        MemorisationSpec(**wrong)


def test_settings_load_without_numerical_libraries():
    code = "import sys, synthassay.privacy.specs; assert not {'numpy', 'scipy', 'torch'} & sys.modules.keys()"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
