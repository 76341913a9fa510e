"""The configuration of a MONAI bundle, read as data.

MONAI's own parser evaluates every text that begins with ``$`` and imports every ``_target_``, so a bundle is a program.
Here only plain values, references (``@name``) and the classes of a list are followed; nothing is evaluated.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from synthassay.errors import UserError
from synthassay.generators.foreign.files import Files, printable

NETWORKS = ("DiffusionModelUNet",)
AUTOENCODERS = ("AutoencoderKL",)
SCHEDULERS = ("DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "RFlowScheduler")
SUPPORTED = (
    "Supported: DiffusionModelUNet, alone or with AutoencoderKL, of monai.networks.nets; the schedulers DDPM, DDIM, "
    "PNDM\nand RFlow of monai.networks.schedulers. For anything else generate images elsewhere: generator=external."
)
_TARGET = re.compile(r"(?:(?:monai|generative)\.networks\.(?:nets|schedulers)\.(?:\w+\.)?)?(\w+)")
_NAMES = ("diffusion_def", "network_def", "autoencoder_def", "noise_scheduler", "scheduler", "diffusion", "network")
_MAX_TEXT = 1 << 22  # bytes
_MAX_DEPTH = 4  # of lists and references in one another: 32⁴ values at most
_MAX_LIST = 32
_MAX_SIZE = 4096  # of channels, blocks, groups; a network beyond takes hours to build
_MAX_NUMBER = 1 << 20  # of anything else
_LEGACY = {"num_channels": "channels", "use_checkpointing": "use_checkpoint", "beta_schedule": "schedule"}


@dataclass(frozen=True, slots=True)
class Component:
    """An entry with ``_target_``: the name of its class, and its arguments as plain values."""

    entry: str
    cls: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BundleConfig:
    """``configs/<name>.json`` or ``.yaml`` of a bundle."""

    file: str
    entries: Mapping[str, Any]

    @classmethod
    def of(cls, files: Files, name: str) -> "BundleConfig":
        """The configuration called ``name``."""
        for suffix in (".json", ".yaml", ".yml"):
            file = f"configs/{name}{suffix}"
            if file in files.names:
                return cls(file, read_mapping(files, file))
        have = [printable(file) for file in files.names if file.startswith("configs/")]
        raise UserError(f"generator.path has no configs/{name}.json or .yaml; found: {', '.join(have) or 'none'}.\n"
                        "Give the folder of a MONAI bundle, or name its file: generator.config=NAME.")  # fmt: skip

    def component(self, classes: tuple[str, ...]) -> Component | None:
        """The one entry whose class is among ``classes``; None when there is none."""
        found = {entry: name for entry, value in self.entries.items() if (name := _class_of(value)) in classes}
        if len(found) > 1:
            found = {entry: name for entry, name in found.items() if entry in _NAMES} or found
        if len(found) > 1:
            first, second = list(found)[:2]
            raise self.refusal(second, f"a second {found[second]} beside {printable(first)}")
        if not found:
            return None
        entry, name = next(iter(found.items()))
        return Component(entry, name, self._arguments(entry, _MAX_NUMBER if name in SCHEDULERS else _MAX_SIZE))

    def needed(self, classes: tuple[str, ...], what: str) -> Component:
        """Like :meth:`component`; its absence is an error which names what stands there instead."""
        component = self.component(classes)
        if component is not None:
            return component
        for entry in _NAMES:
            value = self.entries.get(entry)
            if isinstance(value, dict) and "_target_" in value and _class_of(value) not in _ALL:
                raise self.refusal(entry, f"_target_ {printable(str(value['_target_']))!r}")
        raise UserError(f"{self.file} has no entry for {what}.\n{SUPPORTED}")

    def value(self, entry: str) -> Any:
        """A plain value, its references resolved; None when there is no such entry."""
        return self._resolved(self.entries[entry], entry) if entry in self.entries else None

    def text(self, entry: str) -> str:
        """An entry's text as it stands, to be looked at and not evaluated; empty when it is none."""
        value = self.entries.get(entry)
        return value if isinstance(value, str) else ""

    def refusal(self, entry: str, found: str) -> UserError:
        """The error for an entry that is not supported."""
        return UserError(f"{self.file}: {printable(entry)}: {found} is not supported.\n{SUPPORTED}")

    def _arguments(self, entry: str, limit: int) -> dict[str, Any]:
        arguments = {}
        for name, value in self.entries[entry].items():
            if name.startswith("_") and name.endswith("_"):  # MONAI's own: _target_, _requires_, _disabled_, …
                continue
            name = _LEGACY.get(name, name)
            arguments[name] = self._resolved(value, f"{entry}.{name}")
            listed = arguments[name] if isinstance(arguments[name], list) else [arguments[name]]
            if any(isinstance(number, int | float) and not abs(number) <= limit for number in listed):
                raise self.refusal(f"{entry}.{name}", f"a number beyond {limit:,}")
        schedule = arguments.get("schedule")
        if schedule in ("linear", "scaled_linear"):
            arguments["schedule"] = f"{schedule}_beta"
        return arguments

    def _resolved(self, value: Any, where: str, depth: int = 0) -> Any:
        if depth > _MAX_DEPTH:
            raise self.refusal(where, "a reference that leads back to itself, or too deep a nesting")
        if isinstance(value, str) and value[:1] in ("$", "%"):
            raise self.refusal(where, f"the expression {printable(value)!r} would have to be executed, and")
        if isinstance(value, str) and value.startswith("@"):
            return self._resolved(self._referred(value[1:], where), where, depth + 1)
        if isinstance(value, list):
            if len(value) > _MAX_LIST:
                raise self.refusal(where, f"a list of {len(value):,}")
            return [self._resolved(item, where, depth + 1) for item in value]
        if isinstance(value, dict):
            raise self.refusal(where, "a nested entry")
        return value

    def _referred(self, path: str, where: str) -> Any:
        found: Any = self.entries
        for part in re.split(r"#|::", path):
            if isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, Mapping) and part in found:
                found = found[part]
            else:
                raise self.refusal(where, f"the reference {printable('@' + path)!r}, which leads nowhere,")
        return found


_ALL = (*NETWORKS, *AUTOENCODERS, *SCHEDULERS)


def _class_of(value: Any) -> str | None:
    target = value.get("_target_") if isinstance(value, dict) else None
    match = _TARGET.fullmatch(target) if isinstance(target, str) else None
    return match[1] if match else None


def read_mapping(files: Files, name: str) -> Mapping[str, Any]:
    """A JSON or YAML file of a bundle as plain data."""
    data = files.read(name, _MAX_TEXT)
    try:
        content = json.loads(data) if name.endswith(".json") else yaml.safe_load(data)
    except (json.JSONDecodeError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{name} in generator.path cannot be read ({type(error).__name__}).\nGet it again.") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{name} in generator.path holds {type(content).__name__}, not settings by name.\nGet it again."
        )
    return content
