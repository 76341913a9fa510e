"""Sample grids: which labels and sites have a row."""

from types import SimpleNamespace

import numpy as np

from synthassay.records import Cohort, ImageSet
from synthassay.stages.samples import LeftOut, left_out, split_cells


def cohort(labels, sites, splits, names=("clear", "lesion"), positive=1) -> Cohort:
    count = len(labels)
    ids = np.array([f"i{i}" for i in range(count)])
    images = ImageSet(name="real", origin="real", pixels=np.zeros((count, 1, 8, 8), np.uint8), ids=ids, patients=ids,
                      labels=np.array(labels), label_names=names, groups={"site": np.array(sites)})  # fmt: skip
    return Cohort(name="toy", images=images, splits=np.array(splits), records=[], label="l", positive=positive,
                  policy={})  # fmt: skip


def hospitals(inside: int, outside: int) -> Cohort:
    """One label; hospital ``i`` has ``i + 1`` images, and so has ``far i``, which is kept out."""
    near = [f"hospital {i:03d}" for i in range(inside) for _ in range(i + 1)]
    far = [f"far {i:03d}" for i in range(outside) for _ in range(i + 1)]
    labels = np.arange(len(near) + len(far)) % 2
    return cohort(labels, [*near, *far], ["test"] * len(near) + ["external"] * len(far))


def test_a_few_sites_all_have_rows():
    assert left_out(hospitals(3, 6)) == LeftOut(frozenset(), frozenset())


def test_of_many_sites_the_largest_have_rows_and_some_of_those_kept_out():
    made = hospitals(40, 20)
    shown = set(made.images.groups["site"].tolist()) - left_out(made).sites
    assert shown == {f"hospital {i:03d}" for i in range(32, 40)} | {f"far {i:03d}" for i in range(16, 20)}
    cells = split_cells(SimpleNamespace(cohort=made))
    assert {cell.site for cell in cells} == shown
    assert {cell.set_name for cell in cells} == {"test", "external"}
    assert len({(cell.label, cell.site) for cell in cells}) == 24


def test_of_many_labels_the_most_frequent_have_rows_and_the_positive_one():
    names = tuple(f"class {i:02d}" for i in range(14))
    labels = [i for i in range(14) for _ in range(20 - i)]
    made = cohort(labels, ["A"] * len(labels), ["test"] * len(labels), names, positive=13)
    assert set(names) - left_out(made).labels == {"class 13", *names[:5]}


def test_images_without_labels_or_sites_have_a_row():
    made = cohort([-1] * 6, [""] * 6, ["test"] * 6)
    assert left_out(made) == LeftOut(frozenset(), frozenset())
    assert [(cell.label, cell.site) for cell in split_cells(SimpleNamespace(cohort=made))] == [("no label", "")]
