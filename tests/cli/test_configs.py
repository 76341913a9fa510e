"""Every YAML that ships composes, and its specs are built and keyed."""

import json
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from synthassay.cli.runner import instantiate_specs
from synthassay.errors import UserError
from synthassay.specs import canonical_json

CONF = Path(__file__).resolve().parents[2] / "conf"


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def specs_of(*overrides: str) -> dict:
    with initialize_config_module("synthassay.conf", version_base="1.3"):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return instantiate_specs(config)


@pytest.mark.parametrize("budget", names("budget"))
@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_experiment_composes_with_every_budget(experiment: str, budget: str) -> None:
    specs = specs_of(f"experiment={experiment}", f"budget={budget}")
    assert specs["cohort"].size == 64 or budget == "full"
    assert {control.name for control in specs["controls"]} >= {"oracle", "copycat", "blend", "noise"}


@pytest.mark.parametrize("cohort", names("cohort"))
def test_every_cohort_is_built_and_its_key_holds_no_path(cohort: str) -> None:
    with initialize_config_module("synthassay.conf", version_base="1.3"):
        config = compose("config", overrides=[f"cohort={cohort}", "cohort.root=/secret/place"])
    spec = instantiate(config.cohort, _convert_="all")
    assert spec.name == cohort
    assert "secret" not in canonical_json(spec.to_key())


@pytest.mark.parametrize("generator", names("generator"))
def test_every_generator_is_a_list_of_one(generator: str) -> None:
    (spec,) = specs_of(f"generator={generator}")["generators"]
    assert spec.name == generator
    kind = {"edm2": "edm"}.get(generator, generator)  # a family under other settings
    assert json.loads(canonical_json(spec.to_key()))["kind"] == kind


@pytest.mark.parametrize("generator", ["edm", "edm2", "ddpm", "flow", "latent_edm", "latent_flow"])
def test_every_budget_samples_with_the_default_that_the_benchmark_compares(generator: str) -> None:
    (spec,) = specs_of(f"generator={generator}")["generators"]
    default = type(spec).model_fields["sampling"].default
    assert spec.sampling == default
    for budget in names("budget"):
        settings = yaml.safe_load((CONF / "budget" / f"{budget}.yaml").read_text(encoding="utf-8"))["generators"]
        assert settings.get(generator, {}).get("sampling_steps", default.steps) == default.steps


def test_the_default_is_the_list_edm_gan_vae() -> None:
    assert [spec.name for spec in specs_of()["generators"]] == ["edm", "gan", "vae"]


def test_private_training_is_asked_for_by_one_word_and_its_settings_reach_every_family() -> None:
    specs = specs_of("generators=[edm,vae]", "private=dp", "private.epsilon=2")["generators"]
    assert [spec.private.epsilon for spec in specs] == [2.0, 2.0]
    assert specs_of("generator=edm")["generators"][0].private is None


def test_private_training_of_a_family_that_has_none_is_refused_before_any_work() -> None:
    for chosen in ("generator=gan", "generators=[edm,gan]"):
        with pytest.raises(UserError, match=r"not for gan: .*second derivatives[\s\S]*Choose edm"):
            specs_of(chosen, "private=dp")
    with pytest.raises(UserError, match="not for external: nothing of it is trained here"):
        specs_of("generator=external", "private=dp")
    with pytest.raises(InstantiationException, match=r"generator\.init_from=RUN"):
        specs_of("generator=latent_edm", "private=dp")


def test_a_generator_of_the_list_may_have_settings_of_its_own() -> None:
    listed = 'generators=[edm,{edm: ["generator.name=dp3","private=dp","private.epsilon=3"]}]'
    open_one, private = specs_of(listed)["generators"]
    assert (open_one.name, open_one.private) == ("edm", None)
    assert (private.name, private.private.epsilon) == ("dp3", 3.0)
    with pytest.raises(UserError, match="neither a name nor"):
        specs_of("generators=[{edm: 3}]")


def test_the_privacy_experiment_sweeps_epsilon() -> None:
    specs = specs_of("experiment=phantom_privacy")["generators"]
    assert [spec.private and spec.private.epsilon for spec in specs] == [1.0, 3.0, 10.0, 30.0, None]
    assert specs[-1].training.batch_size == specs[0].private.patients * specs[0].private.views


def test_budget_settings_reach_each_family_by_name() -> None:
    specs = specs_of("budget.generators.gan.steps=7", "budget.generators.edm.images=5")["generators"]
    assert specs[1].training.steps == 7
    assert specs[0].images == 5
    assert specs[0].training.steps != 7


@pytest.mark.parametrize("encoder", names("encoder"))
def test_every_encoder_is_built(encoder: str) -> None:
    assert specs_of(f"encoder={encoder}")["encoder"].kind.replace("-", "_") == encoder


def test_families_with_equal_fields_have_different_keys() -> None:
    keys = {canonical_json(s.to_key()) for s in specs_of()["controls"]}
    assert len(keys) == 4


def test_every_cohort_has_a_card() -> None:
    cards = (CONF.parent / "data" / "README.md").read_text()
    assert all(f"## {name} " in cards for name in names("cohort"))
