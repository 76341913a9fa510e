"""The Hydra application: settings → specs → stages."""

import os
import re
import sys
import traceback

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from synthassay.cli.explain import explain_config_error, explain_validation_error
from synthassay.errors import UserError

# Settings whose names the user chooses; elsewhere a new name is a misspelt one.
MAPPINGS = re.compile(r"cohort\.(recode|keep|arrays\.rows|arrays\.attributes|table\.also)[.=]")
CONFIG_PATH = "pkg://synthassay.conf"


def run_app(command: str, arguments: list[str]) -> int:
    """Compose the settings from ``arguments`` and run the line up to ``command``."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us whole; we print them short
    until = "report" if command == "run" else command
    mistakes: list[UserError] = []
    begun: list[bool] = []

    def task(config: DictConfig) -> str | None:
        from synthassay.cli.runner import run_cell

        begun.append(True)
        try:
            return run_cell(config, until)
        except Exception as error:
            mistake = _own_cause(error)
            if mistake is None or HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # Hydra then says which cell of the sweep failed
            mistakes.append(mistake)
            return None

    saved = sys.argv
    sys.argv = [f"synthassay {command}", *map(with_new_names, flags_first(arguments))]
    try:
        hydra.main(version_base="1.3", config_path=CONFIG_PATH, config_name="config")(task)()
    except (HydraException, OmegaConfBaseException, ValidationError) as error:
        raise _own_cause(error) or UserError(str(error)) from error
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        if begun or not _of_settings(error):
            raise
        raise _cannot_begin(error) from error
    finally:
        sys.argv = saved
        GlobalHydra.instance().clear()
    if mistakes:
        raise mistakes[0]
    return 0


def _of_settings(error: Exception) -> bool:
    """Whether a folder or file cannot be used, or settings are of a type that those who compose them do not take."""
    if isinstance(error, OSError | yaml.YAMLError):
        return True
    *_, last = traceback.walk_tb(error.__traceback__)
    return last[0].f_globals.get("__name__", "").partition(".")[0] in ("hydra", "omegaconf")


def _cannot_begin(error: Exception) -> UserError:
    """Why there are no settings to begin with."""
    if isinstance(error, OSError):
        return UserError(f"cannot begin: {error.strerror} ({error.filename}).\n"
                         "Choose a folder that you may write to with store.root=DIR.")  # fmt: skip
    if isinstance(error, yaml.YAMLError):
        return UserError(f"a settings file is not valid YAML: {' '.join(str(error).split())[:300]}")
    return UserError(f"the settings do not fit together: {explain_config_error(error)}")


def flags_first(arguments: list[str]) -> list[str]:
    """Hydra's flags before the settings: its parser takes no setting after a flag that follows a setting."""
    settings = [a for a in arguments if a.startswith("~") or ("=" in a and not a.startswith("-"))]
    return [a for a in arguments if a not in settings] + settings


def with_new_names(argument: str) -> str:
    """A setting of a mapping as Hydra takes it where it brings a name of its own: with ``++``."""
    return f"++{argument}" if MAPPINGS.match(argument) else argument


def _own_cause(error: BaseException) -> UserError | None:
    """The user's mistake behind ``error``, if it is one; Hydra wraps what a spec's constructor raises."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ValidationError):
            return UserError(explain_validation_error(seen))
        if isinstance(seen, UserError):
            return seen
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, HydraException | OmegaConfBaseException):
        return UserError(explain_config_error(error))
    return None
