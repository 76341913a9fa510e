"""Mistakes that published tools make, each with the case that shows it. Ours must not make them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial.distance import cdist

from synthassay.cohorts.prepare import prepare_cohort
from synthassay.cohorts.specs import ImagesSpec, TableSpec, WindowSpec
from synthassay.errors import UserError
from synthassay.features.radiomics_specs import RadiomicsSpec
from synthassay.metrics import points
from synthassay.metrics.authenticity import authenticity
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.frechet import frechet_distance
from synthassay.metrics.kid import kid
from synthassay.metrics.prdc import prdc
from synthassay.metrics.specs import FidelitySpec
from synthassay.privacy.spaces import pixel_space
from synthassay.records import FeatureSet, SilentProgress
from synthassay.specs import Resources
from synthassay.stages.context import RunContext
from synthassay.stages.encode import encode
from synthassay.store.store import Store
from tests.features.sets import CPU, image_set, images


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def test_authenticity_indexes_training_rows_with_training_rows():
    """synthcity and another toolkit index the training distances with rows of the synthetic set."""
    train, copies = normal(200, 16), normal(200, 16)[150:].repeat(2, axis=0)
    own = np.where(np.eye(200, dtype=bool), np.inf, cdist(train, train)).min(axis=1)
    wrong = (own[cdist(train, copies).argmin(axis=1)] < cdist(train, copies).min(axis=1)).mean()
    assert wrong > 0.4
    assert authenticity(train, copies).value == 0.0


@pytest.mark.parametrize("metric", [lambda a, b: kid(a, b), lambda a, b: prdc(a, b, k=3), frechet_distance])
def test_no_distance_is_taken_between_unsigned_bytes(metric):
    """Differences of bytes wrap: 0 - 1 is 255, so a nearly black image lies far from a black one."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9), dtype=np.uint8)
    with pytest.raises(UserError, match="unsigned integers wrap"):
        metric(pixels, pixels)


def test_a_darker_and_a_brighter_neighbour_are_equally_far():
    middle = np.random.default_rng(0).integers(60, 190, (16, 16)).astype(np.int64)
    mark = np.zeros((16, 16), np.int64)
    mark[4:12, 4:12] = 40
    pixels = np.stack([middle, middle - mark, middle + mark])[:, None].astype(np.uint8)
    vectors = pixel_space(image_set(pixels, np.arange(len(pixels)).astype(np.str_)), size=16, blur=0).vectors
    darker, brighter = (np.linalg.norm(vectors[0] - vectors[row]) for row in (1, 2))
    assert darker == pytest.approx(brighter, rel=0.2)


def test_a_frechet_distance_in_parts_is_not_the_mean_over_shards(monkeypatch):
    """The mean of the distances of shards grows with their number: 8.3 becomes 33.4 at 256 dimensions."""
    real, synthetic = normal(4000, 64, 0), 1.1 * normal(4000, 64, 1)
    whole = frechet_distance(real, synthetic).value
    monkeypatch.setattr(points, "BLOCK_ENTRIES", 64 * 100)  # forty blocks
    assert frechet_distance(real, synthetic).value == pytest.approx(whole, rel=1e-9)
    shards = [frechet_distance(real, part).value for part in np.split(synthetic, 20)]
    assert np.mean(shards) > 3 * whole


@pytest.fixture
def pictures(tmp_path):
    """30 patients with one picture each; those of the second half are half as bright."""
    root, rows = tmp_path / "pictures", []
    root.mkdir()
    for number in range(30):
        values = np.random.default_rng(number).integers(40, 240, (16, 16)) // (1 if number < 15 else 2)
        Image.fromarray(values.astype(np.uint8)).save(root / f"{number:02d}.png")
        rows.append({"path": f"{number:02d}.png", "label": number % 2})
    pd.DataFrame(rows).to_csv(root / "table.csv", index=False)
    return root


def prepared(root, window):
    spec = ImagesSpec(name="pictures", size=16, channels=1, window=window,
                      table=TableSpec(path="table.csv", file="path", label="label"))  # fmt: skip
    folder = root.parent
    return prepare_cohort(spec, root, folder / "keys", folder / "work", Resources(workers=1), SilentProgress())


def test_an_unreadable_image_is_no_black_one(pictures):
    (pictures / "07.png").write_bytes((pictures / "07.png").read_bytes()[:60])
    cohort = prepared(pictures, WindowSpec(mode="fixed", low=0, high=255))
    assert len(cohort.images) == 29
    assert (cohort.images.pixels.max(axis=(1, 2, 3)) > 0).all()
    assert [row.reason for row in cohort.quarantined] == ["the image is truncated or damaged"]


def test_sets_are_not_scaled_by_their_own_extremes(pictures):
    """Each set scaled by its own minimum and maximum hides that one is half as bright."""
    pixels = prepared(pictures, WindowSpec(mode="percentiles", low=0, high=100)).images.pixels
    means = pixels.mean(axis=(1, 2, 3))
    assert means[:15].min() > 1.5 * means[15:].max()


def test_features_are_found_by_content_and_encoder_never_by_name(tmp_path):
    """dgm-eval keeps features under the name of the folder: a changed seed or resize finds the old ones."""
    context = RunContext(SimpleNamespace(), Store(tmp_path), tmp_path, CPU, SilentProgress())
    first = images(3)
    second = replace(first, pixels=255 - first.pixels, content_id="")
    spec = RadiomicsSpec()
    found = [encode(context, spec.build(CPU), chosen).features for chosen in (first, second, first)]
    assert not np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert [output.found_done for output in context.stages] == [False, False, True]


def test_an_empty_group_has_no_score():
    """wilds scores a group without members 0.0, which then counts as the worst."""

    def features(name, n, seed, site):
        sites = np.array([site] * n, np.str_)
        ids = np.array([f"{name}-{i}" for i in range(n)], np.str_)
        return FeatureSet(
            name=name, origin="real", features=normal(n, 4, seed).astype(np.float32), ids=ids, patients=ids,
            labels=np.zeros(n, np.int64), label_names=("a", "b"), encoder="e", encoder_identity=(),
            groups={"site": sites}, content_id=name,
        )  # fmt: skip

    test, control, subject = (features(name, 40, seed, "A") for seed, name in enumerate(("test", "control", "made")))
    sites = test.groups["site"].copy()
    sites[0] = "B"  # one patient of a second site
    test = replace(test, groups={"site": sites})
    spec = FidelitySpec(k=3, replicates=20, min_group_images=10, min_group_patients=10)
    results = score_fidelity(subject, test=test, control=control, train=None, spec=spec, seed=0)
    of_b = [row for row in results if row.group == "site=B"]
    assert of_b
    assert {(row.status, row.value) for row in of_b} == {("absent", None)}
