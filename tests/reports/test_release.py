import base64
import json
from dataclasses import replace

from synthassay.records import CohortTable
from synthassay.reports.data import CohortCount, SetSummary
from synthassay.reports.html import write_report
from synthassay.reports.images import montage, png_uri
from synthassay.reports.release import NOTES_WITHHELD, WITHHELD, for_audience, publishable


def _payload(image):
    return png_uri(image).removeprefix("data:image/png;base64,")


def test_real_images_are_in_the_internal_page_and_in_no_released_file(made_up, hostile, hostile_page, released_page):
    cell = hostile.grids[0]
    assert cell.set_name.startswith("real")
    assert _payload(montage(cell.images, 2)) in hostile_page.read_text(), "the marker is not where it should be"
    for data in (made_up, hostile):
        shown = [_payload(montage(c.images, 2)) for c in data.grids]
        shown += [_payload(image) for pair in data.pairs for image in (pair.synthetic, pair.train)]
        for path in released_page.parent.iterdir():
            content = path.read_text(errors="replace")
            assert not any(payload in content for payload in shown), path.name


def test_a_released_page_holds_no_raster_image_at_all(released_page):
    text = released_page.read_text()
    assert "<img" not in text
    assert "image/png" not in text
    assert base64.b64encode(b"\x89PNG\r\n\x1a\n")[:10].decode() not in text


def test_a_released_page_has_neither_pairs_nor_scores_of_single_images(released_page):
    text = released_page.read_text()
    assert 'id="pairs"' not in text
    assert 'id="samples"' not in text
    assert "for release: aggregates only" in text


def test_groups_of_ten_patients_or_fewer_are_withheld_and_larger_ones_kept(made_up):
    rows = [
        replace(made_up.results[0], group=f"site={site}", n_patients=n) for site, n in zip("AB", (10, 11), strict=True)
    ]
    rows[1] = replace(rows[1], reference="generator-train")
    small, large = for_audience(replace(made_up, results=rows, audience="release")).results
    assert (small.value, small.status, small.note, small.n_patients) == (None, "absent", WITHHELD, 0)
    assert large == rows[1]


def test_a_value_over_a_whole_split_of_few_patients_is_withheld_as_well(made_up):
    external = replace(made_up.results[-1], group="all", reference="external", n_patients=3)
    test = replace(external, reference="test", n_patients=160)
    withheld, kept = publishable([external, test])
    assert (withheld.value, withheld.note, withheld.identity) == (None, WITHHELD, ())
    assert kept == test


def test_a_single_small_group_takes_the_next_smallest_with_it_in_every_metric(made_up):
    base = made_up.results[0]
    sizes = {"A": 5, "B": 30, "C": 90, "*": 0}
    rows = [replace(base, metric=m, generator=g, group=f"site={s}", n_patients=n)
            for m in ("kid", "recall") for g in ("edm", "gan") for s, n in sizes.items()]  # fmt: skip
    rows += [replace(base, group="device=X", n_patients=40), replace(base, group="all", n_patients=125)]
    kept = [row for row in publishable(rows) if row.note != WITHHELD]
    assert {row.group for row in kept} == {"site=C", "site=*", "device=X", "all"}
    assert len(kept) == 10


def test_a_group_that_was_too_small_for_a_value_counts_as_small(made_up):
    base = replace(made_up.results[0], group="site=A", value=None, ci_low=None, ci_high=None, floor=None,
                   floor_ci_low=None, floor_ci_high=None, status="absent", n_patients=0, n_real=0)  # fmt: skip
    small = replace(base, note="9 real images of 3 patients; at least 10 of 5 are needed")
    rows = [small, *(replace(made_up.results[0], group=f"site={s}", n_patients=n) for s, n in (("B", 30), ("C", 90)))]
    assert [row.note == WITHHELD for row in publishable(rows)] == [True, True, False]
    fine = replace(base, note="7 images of the set; at least 10 are needed")
    assert publishable([fine, *rows[1:]]) == (fine, *rows[1:])


def test_kinds_of_planted_copies_are_no_parts_of_a_total(made_up):
    base = replace(made_up.results[0], family="memorisation", metric="copy_recall")
    rows = [replace(base, group=f"kind={kind}", n_patients=n) for kind, n in (("exact", 9), ("noise", 40))]
    assert [row.note == WITHHELD for row in publishable(rows)] == [True, False]


def test_images_that_were_resampled_are_not_taken_for_patients(made_up):
    row = replace(made_up.results[0], metric="authenticity", resampling_unit="image", n_patients=9, n_real=300)
    assert publishable([row]) == (row,)


def test_small_numbers_of_affected_patients_are_withheld_and_none_is_published(made_up):
    base = replace(made_up.results[0], family="memorisation", metric="patients_affected", n_patients=400)
    rows = [replace(base, value=value) for value in (0.0, 1.0, 10.0, 11.0)]
    assert [row.value for row in publishable(rows)] == [0.0, None, None, 11.0]


def test_notes_and_identities_name_no_small_number_of_patients(made_up):
    row = replace(made_up.results[0], note="the floor is descriptive: it rests on 7 patients",
                  identity=(("control", "12 images, 6 patients"), ("test", "300 images, 110 patients")))  # fmt: skip
    (shown,) = publishable([row])
    assert shown.note == "the floor is descriptive: it rests on fewer than 11 patients"
    assert (shown.value, shown.floor, shown.floor_ci_low) == (row.value, None, None)
    assert shown.identity == (("control", "12 images, fewer than 11 patients"), row.identity[1])


def test_what_was_published_stays_as_it_is_when_published_again(made_up):
    once = publishable(made_up.results)
    assert publishable(once) == once


def test_small_cells_of_the_cohort_are_withheld(made_up, released_page):
    counts = for_audience(replace(made_up, audience="release")).cohort.counts
    assert CohortCount(column="split", value="external", patients=None, images=None) in counts
    assert f'<abbr title="{WITHHELD}">withheld</abbr>' in released_page.read_text()


def test_no_withheld_cell_of_the_cohort_is_the_total_less_the_others(made_up):
    def hidden(*sizes):
        counts = [CohortCount(column="site", value=str(n), patients=n, images=2 * n) for n in sizes]
        data = replace(made_up, cohort=replace(made_up.cohort, counts=counts), audience="release")
        shown = [row.patients for row in for_audience(data).cohort.counts]
        return [n for n, left in zip(sizes, shown, strict=True) if left is None]

    assert hidden(90, 4, 40, 0) == [4, 40]
    assert hidden(90, 4, 3, 40) == [4, 3, 40], "two cells of 7 patients together are as telling as one"
    assert hidden(90, 6, 5, 40) == [6, 5]
    assert hidden(90, 11) == []


def test_notes_on_the_cohort_rare_reasons_and_patients_of_controls_stay_inside(made_up, tmp_path):
    controls = [SetSummary(name="oracle", origin="control", images=30, units=7)]
    data = replace(made_up, sets=[*made_up.sets[:3], *controls], quarantine={"rare": 10, "common": 11},
                   cohort=replace(made_up.cohort, notes=("Site Q has 3 patients.",)), audience="release")  # fmt: skip
    text = write_report(data, tmp_path).read_text()
    assert NOTES_WITHHELD in text
    assert "Site Q" not in text
    assert "common" in text
    assert "rare" not in text.split('id="cohort"')[1].split('id="results"')[0]
    assert json.loads((tmp_path / "results.json").read_text())["sets"][-1]["units"] is None


def test_tables_about_the_cohort_keep_rows_of_enough_patients_and_none_without_a_count(made_up):
    rows = (("GE MEDICAL", "GE"), ("Siemens", "Siemens"), ("SIEMENS", "Siemens"))
    told = CohortTable(title="Merges", columns=("Written", "Read as"), rows=rows, patients=(40, 60, 3))
    data = replace(made_up, cohort=replace(made_up.cohort, tables=(told, replace(told, patients=None))))
    assert for_audience(data).cohort.tables == data.cohort.tables, "an internal page shows all of them"
    (published,) = for_audience(replace(data, audience="release")).cohort.tables
    assert published.rows == (("Siemens", "Siemens"), ("withheld", "")), "one row alone is the total less the others"


def test_an_internal_page_is_left_as_it_is(made_up):
    assert for_audience(made_up) is made_up


def test_released_results_say_who_they_are_for(released_page):
    assert json.loads(released_page.with_name("results.json").read_text())["run"]["audience"] == "release"
