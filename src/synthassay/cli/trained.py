"""Finding a training that was finished earlier."""

import json
import re
from pathlib import Path
from typing import Any

from synthassay.errors import UserError

_CARD = "model.json"


def training_folder(given: str, store: Path, kind: str) -> Path:
    """The folder of the training that ``given`` names: itself, a key (or its start) in ``store``, or a run's folder.

    A run's trainings are sought in ``store``; of several, the one of the family ``kind`` is meant.
    """
    folder = Path(given).expanduser()
    if (folder / _CARD).is_file():
        return folder
    if (folder / "run.json").is_file():
        stages: list[dict[str, str]] = json.loads((folder / "run.json").read_text(encoding="utf-8"))["stages"]
        found = [store / stage["folder"] for stage in stages if stage["stage"] == "train"]
        found = [path for path in found if _kind(path) == kind]
    else:
        found = sorted((store / "train").glob(f"{given}*")) if re.fullmatch("[0-9a-f]{6,64}", given) else []
    if len(found) != 1:
        many = f"{len(found)} trainings" if found else "no finished training"
        raise UserError(f"generator.init_from={given} names {many} of {kind} (store {store}).\n"
                        "Give a training's folder, the start of its key in the store, or a run's folder.")  # fmt: skip
    return found[0]


def _kind(folder: Path) -> str | None:
    path = folder / _CARD
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return card.get("family")
