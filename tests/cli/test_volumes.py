"""A whole run on volumes: trained, sampled, encoded slice by slice, searched for copies, reported."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from tests.generators.toys import toy_volumes
from tests.whole_runs import synthassay

pytestmark = pytest.mark.xdist_group("whole runs")
CONTROLS = ("oracle", "copycat", "blend", "noise")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of latent_flow on forty made-up volumes of two labels."""
    place = tmp_path_factory.mktemp("volumes")
    images = toy_volumes(40, (18, 18, 18))
    for row, label in enumerate(images.labels):
        path = place / "scans" / ("ill" if label else "healthy") / f"p{row:02d}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(images.pixels[row, 0], np.eye(4)), path)
    ended = synthassay(
        place, "run", "experiment=tiny_volumes", f"cohort.root={place / 'scans'}", "generator=latent_flow"
    )
    assert ended.returncode == 0, ended.stderr
    return place


def test_every_set_has_fidelity_by_slices_and_was_searched_for_copies(place: Path) -> None:
    table = pd.read_parquet(place / "out" / "results.parquet")
    for name in ("latent_flow", *CONTROLS):
        mine = table[table.generator == name]
        assert {"frechet_distance", "kid", "precision", "recall", "ms_ssim"} <= set(mine.metric)
        assert {"copies_per_1000", "memorisation_verdict"} <= set(mine.metric)
    kid = table[(table.metric == "kid") & (table.group == "all")]
    assert set(kid.encoder) == {"efficientnet-lite0-2.5d", "radiomics-skimage-2.5d"}
    assert kid.identity.str.contains("slices at 0.25/0.5/0.75 of each of three axes").all()


def test_planted_copies_of_volumes_are_found(place: Path) -> None:
    table = pd.read_parquet(place / "out" / "results.parquet")
    copies = table[(table.metric == "copies_per_1000") & (table.group == "all")].set_index("generator").value
    assert copies["copycat"] > copies["oracle"]


def test_classifiers_are_absent(place: Path) -> None:
    table = pd.read_parquet(place / "out" / "results.parquet")
    rows = table[(table.family == "downstream") & (table.variant != "metadata")]
    assert set(rows.status) == {"absent"}
    assert (rows.note != "").all()


def test_the_page_shows_volumes_as_three_planes_and_both_trainings(place: Path) -> None:
    page = (place / "out" / "report.html").read_text()
    assert "16 × 16 × 16, 1 channel" in page
    assert "images: latent_flow" in page
    assert "latent_flow autoencoder" in page
    stages = {stage["stage"] for stage in json.loads((place / "out" / "run.json").read_text())["stages"]}
    assert {"train", "sample", "encode", "score", "diversity", "memorise"} <= stages


def test_what_cannot_work_on_volumes_is_told_before_any_training(place: Path) -> None:
    ended = synthassay(place, "train", "experiment=tiny_volumes", f"cohort.root={place / 'scans'}", "encoder=domain")
    assert ended.returncode == 2
    assert "encoder=domain learns from images" in ended.stderr
