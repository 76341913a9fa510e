import pytest

from synthassay.cohorts.facts import attach, keep, with_path_facts
from synthassay.cohorts.sources import Source
from synthassay.errors import UserError


def source(path: str = "a.png", **changes) -> Source:
    return Source(**{"path": path, "patient": path, "study": path, "series": path, **changes})


def test_facts_go_before_what_is_known_and_blanks_do_not():
    known = source(site="Header", view="PA", sex="F", age=40.0)
    got = attach(known, {"site": "", "view": "AP", "age": "50.7", "patient": "P1"}, {})
    assert (got.site, got.view, got.sex, got.age, got.patient, got.study) == ("Header", "AP", "F", 50.0, "P1", "P1")


def test_a_blank_label_is_kept_and_no_label_leaves_the_one_there_is():
    assert attach(source(label="1"), {"label": ""}, {}).label == ""
    assert attach(source(label="1"), {"site": "x"}, {}).label == "1"


def test_codes_are_replaced_in_the_facts_that_are_named():
    got = attach(source(), {"sex": "2", "site": "CS", "view": "2"}, {"sex": {"2": "F"}, "site": {"CS": "City"}})
    assert (got.sex, got.site, got.view) == ("F", "City", "2")


def test_a_path_says_what_the_groups_of_the_pattern_name(scans):
    spec = scans.images_spec(
        path_facts=r"(?P<study>(?P<patient>patient\d+)/study\d+)/view\d_(?P<view>\w+)",
        recode={"view": {"frontal": "PA"}},
    )
    kept, refused = with_path_facts([source("x/patient7/study2/view1_frontal.jpg"), source("x/notes.png")], spec)
    assert [(s.patient, s.study, s.view) for s in kept] == [("patient7", "patient7/study2", "PA")]
    assert [(row.path, row.reason) for row in refused] == [("x/notes.png", "the path does not match cohort.path_facts")]
    with pytest.raises(UserError, match=r"none of 1 paths matches cohort\.path_facts"):
        with_path_facts([source("x/notes.png")], spec)


def test_only_scans_with_the_wanted_facts_are_kept(scans):
    spec = scans.images_spec(keep={"view": ("PA", "AP")})
    kept, refused = keep([source("1", view="PA"), source("2", view="LATERAL"), source("3")], spec)
    assert [s.path for s in kept] == ["1"]
    assert {(row.path, row.reason) for row in refused} == {(p, "left out by cohort.keep.view") for p in "23"}
    with pytest.raises(UserError, match=r"cohort\.keep\.view leaves none of 1 scans: none has one of 'PA', 'AP'"):
        keep([source("3")], spec)
