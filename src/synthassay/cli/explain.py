"""Errors of Hydra, OmegaConf and pydantic in one to three lines."""

import difflib
import re

from hydra.errors import MissingConfigException
from pydantic import ValidationError


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
    text = " ".join(str(error).split())
    unknown = re.search(
        r"Could not override '([^']+)'|Key '([^']+)' is not in struct|No match in the defaults list for '?([\w/@.]+)",
        text,
    )
    if unknown:
        name = next(part for part in unknown.groups() if part)
        return (
            f"there is no setting {name!r}.\n"
            "`synthassay run --help` shows the usual settings, `synthassay run --cfg job` all of them."
        )
    text = re.sub(
        r"(To append to your config use|Set the environment variable HYDRA_FULL_ERROR|See https?:).*", "", text
    )
    text = re.sub(r"\s*(full_key|object_type):?=?.*", "", text).strip()
    return text[:400] + "\n`synthassay run --help` shows how settings are written."


def _explain_missing(error: MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    names = sorted(error.options or ())
    near = difflib.get_close_matches(option, names, 1)
    hint = f" Did you mean {group}={near[0]}?" if near else ""
    listed = f"\n{group} is one of: {', '.join(names)}." if names else ""
    return f"there is no {group}={option}.{hint}{listed}"
