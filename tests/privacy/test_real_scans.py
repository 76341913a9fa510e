"""The detector on brain MRI slices of 44 patients: recall of rotated copies, and too few controls for a verdict."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from synthassay.privacy.memorisation import MemorisationOutcome, assess_memorisation
from synthassay.privacy.spaces import mirrored_images, pixel_space
from synthassay.privacy.specs import MemorisationSpec
from synthassay.records import ImageSet
from tests.privacy.conftest import KINDS, altered, image_set

SCANS = Path(__file__).parents[3] / "shared" / "data" / "lgg_mri"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not SCANS.is_dir(), reason="../shared/data/lgg_mri is not beside the checkout"),
]


def slices(folder: Path) -> NDArray[np.uint8]:
    """Every second slice that shows tissue, at 64x64."""
    volume = np.asarray(nibabel.load(next(folder.rglob("*.nii.gz"))).dataobj, np.float32)
    small = volume.reshape(64, 4, 64, 4, -1).mean(axis=(1, 3)).transpose(2, 0, 1)[::2]
    return np.rint(small[(small > 25).mean(axis=(1, 2)) > 0.05]).astype(np.uint8)


def cohort(name: str, folders: list[Path]) -> ImageSet:
    stacks = [slices(folder) for folder in folders]
    owners = np.repeat([folder.name for folder in folders], [len(stack) for stack in stacks])
    return image_set(name, np.concatenate(stacks), owners)


@pytest.fixture(scope="module")
def outcome() -> MemorisationOutcome:
    folders = sorted(SCANS.glob("sub-*"))[:44]
    chosen = [folders[i] for i in np.random.default_rng(0).permutation(44)]
    train, a, b = cohort("train", chosen[:36]), cohort("a", chosen[36:40]), cohort("b", chosen[40:])
    rows = np.unique(train.patients, return_index=True)[1] + 3
    panel = {k: image_set(k, altered(train.pixels[rows, 0], k, 1), train.patients[rows]) for k in KINDS}
    return assess_memorisation(
        pixel_space(b), pixel_space(train), pixel_space(mirrored_images(train)), pixel_space(a), pixel_space(b),
        {kind: pixel_space(images) for kind, images in panel.items()}, MemorisationSpec(replicates=400), 0,
    )  # fmt: skip


def test_planted_copies_of_real_slices_are_found(outcome: MemorisationOutcome):
    recalls = {r.group: r.value for r in outcome.results if r.metric == "copy_recall"}
    assert set(recalls) == {f"kind={kind}" for kind in KINDS}
    assert all(value is not None and value >= 0.9 for value in recalls.values()), recalls


def test_eight_control_patients_are_insufficient_evidence_with_numbers(outcome: MemorisationOutcome):
    assert {r.status for r in outcome.results} == {"insufficient evidence"}
    rates = [r for r in outcome.results if r.metric in ("copies_per_1000", "copied_share", "false_alarm_rate")]
    assert all(r.value is not None and r.ci_high is not None for r in rates)
