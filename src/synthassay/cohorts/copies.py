"""Files that carry one SOP Instance UID: copies of one image, or several images that cannot be told apart."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import DicomSpec
from synthassay.records import Progress, Quarantined
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.limits import LimitSpec
from synthassay.scans.pool import Pool, explained, worker_count
from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Resources

COPY = Unreadable("SOPInstanceUID", "seen before", "a copy of an image that is read")
CONFLICT = Unreadable("SOPInstanceUID", "not unique", "files of this UID hold different pixels; none of them is read")


def without_copies(
    sources: Sequence[Source], root: Path, spec: DicomSpec, resources: Resources, progress: Progress
) -> tuple[list[Source], list[Quarantined]]:
    """Of files with one SOP Instance UID and equal pixels the first; none where the pixels differ, and none damaged.

    Pixels are compared after decoding, in rescaled units: copies may be compressed in different ways.
    """
    by_uid = defaultdict(list)
    for source in sources:
        if source.uid:
            by_uid[source.uid].append(source.path)
    doubtful = [path for paths in by_uid.values() if len(paths) > 1 for path in paths]
    digests = _digests(doubtful, root, spec, resources, progress)
    refusals: dict[str, Unreadable] = {}
    for paths in by_uid.values():
        if len(paths) > 1:
            refusals |= _refusals(paths, digests)
    kept = [source for source in sources if source.path not in refusals]
    return kept, [refusal.row(path) for path, refusal in refusals.items()]


def _digests(
    paths: Sequence[str], root: Path, spec: DicomSpec, resources: Resources, progress: Progress
) -> dict[str, str | Unreadable]:
    if not paths:
        return {}
    progress.start("compare files of one UID", len(paths))
    digests: dict[str, str | Unreadable] = {}
    for index, answer in Pool(_PixelDigest(root, spec.limits), worker_count(resources), spec.limits).answers(paths):
        digests[paths[index]] = answer
        progress.advance()
    progress.finish()
    return digests


def _refusals(paths: Sequence[str], digests: dict[str, str | Unreadable]) -> dict[str, Unreadable]:
    damaged = {path: answer for path in paths if isinstance(answer := digests[path], Unreadable)}
    whole = [path for path in paths if path not in damaged]
    different = len({digests[path] for path in whole}) > 1
    return damaged | (dict.fromkeys(whole, CONFLICT) if different else dict.fromkeys(whole[1:], COPY))


@dataclass(frozen=True, slots=True)
class _PixelDigest:
    root: Path
    limits: LimitSpec

    def __call__(self, path: str) -> str | Unreadable:
        try:
            digest = hashlib.sha256()
            for plane in read_planes((self.root / path).read_bytes(), self.limits):
                digest.update(repr(plane.values.shape).encode() + plane.values.tobytes())
            return digest.hexdigest()
        except BaseException as error:
            return explained(error)
