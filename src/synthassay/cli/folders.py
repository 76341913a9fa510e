"""Settings that name folders."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from synthassay.errors import UserError


def folder_of(config: DictConfig, setting: str) -> Path:
    """The folder that ``setting`` names, whose name may be a number. Raises :class:`UserError` where it names none."""
    value = OmegaConf.select(config, setting)
    if not isinstance(value, str | int | float) or isinstance(value, bool) or value == "":
        raise UserError(f"{setting}={value} is not a folder; write {setting}=DIR.")
    return Path(str(value)).expanduser()
