"""One run (one cell of a sweep): settings in, the report's path out."""

import os
from collections.abc import Sequence
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from synthassay.cli.folders import folder_of
from synthassay.cli.processes import found_place
from synthassay.cli.progress import BarProgress, NoProgress
from synthassay.cli.trackers import NoTracker, Tracker, WandbTracker
from synthassay.cli.trained import training_folder
from synthassay.errors import UserError
from synthassay.specs import Resources

AUDIENCES = ("internal", "release")
SECTIONS = ("store", "report", "select", "sample", "controls", "also_encode", "cohort", "budget", "encoder", "metric",
            "privacy", "downstream", "tracker", "resources")  # fmt: skip
MODES = ("online", "offline", "disabled")


def run_cell(config: DictConfig, until: str) -> str:
    """Run the line up to the stage ``until`` and print what it left; returns the path printed last."""
    _check_shape(config)
    audience = config.report.audience
    if audience not in AUDIENCES:
        raise UserError(f"report.audience={audience} is unknown; it is one of: {', '.join(AUDIENCES)}")
    leads = found_place(os.environ).rank == 0
    tracker = make_tracker(config) if leads else NoTracker()
    progress = BarProgress(tracker) if leads else NoProgress()
    progress.note(
        f"synthassay {until if until != 'report' else 'run'}: {config.cohort.name}, budget {config.budget.name}"
    )
    specs = instantiate_specs(config)
    resources: Resources = _build(config.resources)
    # Imported after the first line is on the screen: torch takes seconds, and a missing folder is said before it.
    from synthassay.cohorts.files import check_source

    check_source(specs["cohort"])
    from synthassay.cli.session import run_session

    return run_session(config, specs, resources, tracker, progress, until)


def _check_shape(config: DictConfig) -> None:
    """Raises :class:`UserError` for a value where settings of their own belong, as in ``store=DIR``, and for no folder.

    Before any work, since some of them are only used at its end.
    """
    for name in SECTIONS:
        if not OmegaConf.is_dict(config[name]):
            raise UserError(f"{name}={config[name]}: {name} holds several settings; write {name}.SETTING=VALUE.\n"
                            "`synthassay run --cfg job` shows them.")  # fmt: skip
    for name in ("store.root", "store.keyring", *(["out"] if config.out is not None else [])):
        folder_of(config, name)


def instantiate_specs(config: DictConfig) -> dict[str, Any]:
    """The specs of a run as live objects; the only place where ``_target_`` is followed."""
    return {
        "cohort": _build(config.cohort),
        "generators": tuple(_build(node) for node in generator_nodes(config)),
        "select": _build(config.select),
        "sample": _build(config.sample),
        "controls": tuple(_build(node) for node in config.controls.values() if node is not None),
        "encoder": _build(config.encoder),
        "also_encode": tuple(_build(node) for node in config.also_encode.values() if node is not None),
        "fidelity": _build(config.metric),
        "memorisation": _build(config.privacy),
        "downstream": _build(config.downstream),
        "seed": config.seed,
    }


def _build(node: DictConfig) -> Any:
    return instantiate(node, _convert_="all")


def generator_nodes(config: DictConfig) -> list[DictConfig]:
    """The generators' settings: the one that was chosen by ``generator=NAME``, else each of the list ``generators``."""
    chosen = OmegaConf.select(config, "generator")
    overrides = HydraConfig.get().overrides.task
    if chosen is not None:
        if any(o.startswith("generators=") for o in overrides):
            raise UserError("both generator=... and generators=[...] are given; use one of them")
        return [_checked(config)]
    if not OmegaConf.is_list(config.generators):
        raise UserError(f"generators={config.generators} is not a list; write generators=[{config.generators}]")
    kept = [o for o in overrides if not o.lstrip("+~").startswith(("generator=", "generators="))]
    entries = OmegaConf.to_container(config.generators)
    assert isinstance(entries, list)
    return [_checked(_composed(entry, kept)) for entry in entries]


def _composed(entry: Any, overrides: Sequence[str]) -> DictConfig:
    """The run's settings with one generator: a name, or ``{name: [settings of its own]}``, which come before others."""
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, own),) = entry.items()
    else:
        name, own = entry, []
    if not isinstance(name, str) or not isinstance(own, list) or not all(isinstance(o, str) for o in own):
        raise UserError(f"generators: {entry} is neither a name nor {{NAME: [SETTING=VALUE, ...]}}")
    given = {o.split("=")[0].lstrip("+~") for o in own}
    others = [o for o in overrides if o.split("=")[0].lstrip("+~") not in given]
    return compose("config", overrides=[*others, f"generator={name}", *own])


def _checked(config: DictConfig) -> DictConfig:
    """The generator of ``config``, whose weights to start with are found. One that cannot be private is an error."""
    node: DictConfig = config.generator
    if config.private is not None and "private" not in node:
        raise UserError(f"private={config.private.kind} is not for {node.name}: {_why_not_private(node)}.\n"
                        "Choose edm, edm2, ddpm, flow, vae, latent_edm or latent_flow, or private=none.")  # fmt: skip
    if node.get("init_from") is not None:
        node.init_from = str(training_folder(str(node.init_from), folder_of(config, "store.root"), node.kind))
    return node


def _why_not_private(node: DictConfig) -> str:
    return getattr(get_class(node._target_), "not_private", "") or "nothing of it is trained here"


def make_tracker(config: DictConfig) -> Tracker:
    """The tracker that the settings ask for."""
    settings = config.tracker
    if settings.kind == "none":
        return NoTracker()
    if settings.kind != "wandb":
        raise UserError(f"tracker.kind={settings.kind} is unknown; it is none or wandb")
    if settings.mode not in MODES:
        raise UserError(f"tracker.mode={settings.mode} is unknown; it is one of: {', '.join(MODES)}")
    folder = folder_of(config, "store.root").parent / "wandb"
    return WandbTracker(
        project=settings.project,
        entity=settings.entity,
        mode=settings.mode,
        folder=folder,
        real_images=settings.real_images,
    )
