"""The layout of the Medical Segmentation Decathlon: ``imagesTr`` beside ``labelsTr``, described in ``dataset.json``.

http://medicaldecathlon.com. nnU-Net's folders, where each channel is a file ``CASE_0000``, and plain ``images`` beside
``labels`` are read too.
"""

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

MAX_BYTES = 1 << 24  # of dataset.json, which lists every image
_IMAGES = re.compile(r"images(Tr|Ts|Va)?")
_CHANNEL = re.compile(r"_(\d{4})$")


class DecathlonFolder:
    """The files of one or more data sets in this layout. ``paths`` are relative to ``root``, with ``/``."""

    def __init__(self, root: Path, paths: Iterable[str]) -> None:
        self._known = frozenset(paths)
        self._listed: dict[str, str] = {}  # label by image
        self._modalities: dict[str, Mapping[str, Any]] = {}  # by the folder of dataset.json
        for path in sorted(self._known):
            if PurePosixPath(path).name == "dataset.json":
                self._describe(posixpath.dirname(path), _read(root / path))

    def case(self, path: str, suffix: str) -> str | None:
        """The case, which is a patient, of an image in this layout; None of a file elsewhere.

        A folder that is just called ``images`` is taken for this layout where the image has a mask.
        """
        mask, folder = self.mask(path, suffix), PurePosixPath(path).parent.name
        if not _IMAGES.fullmatch(folder) or (mask is None and folder == "images"):
            return None
        return PurePosixPath(mask or path).name.removesuffix(suffix)

    def mask(self, path: str, suffix: str) -> str | None:
        """The mask of an image: what ``dataset.json`` lists, else the file of its name, or case, in ``labels*``."""
        listed = self._listed.get(path)
        if listed in self._known:
            return listed
        place = PurePosixPath(path)
        if not _IMAGES.fullmatch(place.parent.name):
            return None
        folder = place.parent.with_name(place.parent.name.replace("images", "labels", 1))
        name = place.name.removesuffix(suffix)
        candidates = [(folder / f"{stem}{suffix}").as_posix() for stem in (name, _CHANNEL.sub("", name))]
        return next((candidate for candidate in candidates if candidate in self._known), None)

    def modality(self, path: str, suffix: str, index: object) -> str | None:
        """What ``dataset.json`` calls the volume ``index`` of a 4-D image, or the channel of one file of several."""
        names = self._modalities.get(posixpath.dirname(posixpath.dirname(path)), {})
        channel = _CHANNEL.search(PurePosixPath(path).name.removesuffix(suffix))
        number = str(index) if isinstance(index, int) else str(int(channel[1])) if channel else "0"
        said = names.get(number) if len(names) == 1 or isinstance(index, int) or channel else None
        return said if isinstance(said, str) else None

    def _describe(self, folder: str, facts: Mapping[str, Any]) -> None:
        names = facts.get("modality") or facts.get("channel_names")
        self._modalities[folder] = names if isinstance(names, dict) else {}
        training = facts.get("training")
        for row in training if isinstance(training, list) else []:
            if isinstance(row, dict) and isinstance(row.get("image"), str) and isinstance(row.get("label"), str):
                image, label = (posixpath.normpath(posixpath.join(folder, row[key])) for key in ("image", "label"))
                self._listed[image] = label


def _read(path: Path) -> Mapping[str, Any]:
    """``dataset.json``; empty where it cannot be read: names and folders then say what they say."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8-sig")) if path.stat().st_size <= MAX_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}
