import base64
import json
import re
from dataclasses import replace

from synthassay.reports.data import CohortCount
from synthassay.reports.images import montage, png_uri
from synthassay.reports.release import WITHHELD, for_audience


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
    rows = [replace(r, n_patients=n) for n, r in zip((10, 11), made_up.results, strict=False)]
    rows = [replace(r, group="site=Ashby", n_patients=n) for r, n in zip(rows, (10, 11), strict=True)]
    small, large = for_audience(replace(made_up, results=rows, audience="release")).results
    assert (small.value, small.status, small.note, small.n_patients) == (None, "absent", WITHHELD, 0)
    assert large == rows[1]


def test_a_value_over_the_whole_set_is_kept_however_few_patients_it_rests_on(made_up):
    row = replace(made_up.results[0], group="all", n_patients=6)
    assert for_audience(replace(made_up, results=[row], audience="release")).results == (row,)


def test_small_cells_of_the_cohort_are_withheld(made_up, released_page):
    counts = for_audience(replace(made_up, audience="release")).cohort.counts
    assert CohortCount(column="split", value="external", patients=None, images=None) in counts
    assert re.search(rf'<abbr title="{WITHHELD}">&lt; 11</abbr>', released_page.read_text())


def test_an_internal_page_is_left_as_it_is(made_up):
    assert for_audience(made_up) is made_up


def test_released_results_say_who_they_are_for(released_page):
    assert json.loads(released_page.with_name("results.json").read_text())["run"]["audience"] == "release"
