"""Errors of Hydra, OmegaConf and pydantic in one to three lines."""

import difflib
import re

from hydra.errors import MissingConfigException, OverrideParseException
from pydantic import ValidationError

UNKNOWN_SETTING = (
    r"Could not override '([^']+)'",
    r"is not in struct full_key: ([\w.]+)",
    r"Key '([^']+)' is not in struct",
    r"No match in the defaults list for '?([\w/@.]+)",
)


def explain_validation_error(error: ValidationError) -> str:
    """Name the setting, what was found, and what is allowed."""
    lines = []
    for item in error.errors()[:2]:
        where = ".".join(str(part) for part in item["loc"]) or "value"
        found = repr(item.get("input"))
        found = found if len(found) <= 60 else found[:57] + "..."
        lines.append(f"{error.title}: setting {where!r} is wrong: {item['msg']} (found {found})")
    if error.error_count() > 2:
        lines.append(f"and {error.error_count() - 2} more")
    return "\n".join(lines)


def explain_config_error(error: Exception) -> str:
    """Hydra's message without its advice on Hydra, and the nearest name that exists."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _explain_missing(error)
    for part in (error, error.__cause__, error.__context__):
        if isinstance(part, OverrideParseException):
            name, equals, _ = str(part.override).partition("=")
            text = f"{part.override!r} cannot be read as a setting; write NAME=VALUE"
            if equals:
                text += f", and a value with signs such as {{ or ( in two pairs of quotes: '{name}=\"VALUE\"'"
            return text + ".\n`synthassay run --help` shows examples."
    text = " ".join(str(error).split())
    for pattern in UNKNOWN_SETTING:
        found = re.search(pattern, text)
        if found:
            return _unknown(found.group(1))
    text = re.sub(
        r"(To append to your config use|Set the environment variable HYDRA_FULL_ERROR|See https?:).*", "", text
    )
    text = re.sub(r"\s*(full_key|object_type):?=?.*", "", text).strip()
    return text[:400] + "\n`synthassay run --help` shows how settings are written."


def _unknown(setting: str) -> str:
    text = f"there is no setting {setting!r}.\n"
    if setting.startswith("generator."):
        text += ("Of several generators each has its own settings: "
                 "\"generators=[gan,{edm: ['generator.images=500']}]\".\n")  # fmt: skip
    return text + "`synthassay run --help` shows the usual settings, `synthassay run --cfg job` all of them."


def _explain_missing(error: MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    names = sorted(error.options or ())
    near = difflib.get_close_matches(option, names, 1)
    hint = f" Did you mean {group}={near[0]}?" if near else ""
    listed = f"\n{group} is one of: {', '.join(names)}." if names else ""
    return f"there is no {group}={option}.{hint}{listed}"
