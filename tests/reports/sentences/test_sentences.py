from dataclasses import replace

import pytest

from synthassay.records import MetricResult
from synthassay.reports.account import cohort_facts, policy_facts
from synthassay.reports.findings import findings, opening_sentences
from synthassay.reports.select import Results
from synthassay.reports.sentences.downstream import downstream_findings
from synthassay.reports.sentences.fidelity import fidelity_findings
from synthassay.reports.sentences.memorisation import memorisation_findings

KID = MetricResult(
    family="fidelity", metric="kid", generator="edm", encoder="e", variant="patient-aware", reference="test",
    value=0.012,    ci_low=0.010, ci_high=0.014, floor=0.0039, floor_ci_low=0.003, floor_ci_high=0.005, n_patients=160,
    higher_is_better=False,
)  # fmt: skip
CLOSER = replace(KID, metric="closer_to_train", reference="generator-train", floor=None, value=0.02, ci_low=0.01,
                 ci_high=0.03)  # fmt: skip
VERDICT = MetricResult(family="memorisation", metric="memorisation_verdict", generator="edm", encoder="j", value=0.0,
                       n_patients=412)  # fmt: skip
COPIES = replace(VERDICT, metric="copies_per_1000", value=98.0, ci_low=80.0, ci_high=120.0, floor=9.0)
GAP = MetricResult(
    family="downstream", metric="auroc_difference", generator="edm", variant="synthetic - real", reference="external",
    value=-0.08, ci_low=-0.12, ci_high=-0.04, n_patients=60,
)  # fmt: skip


@pytest.fixture
def say(made_up):
    def run(rows, which=fidelity_findings, *more):
        return which(Results(list(rows), made_up), *more)

    return run


def only(found):
    assert len(found) == 1, [f.text for f in found]
    return found[0]


def test_a_distance_above_the_floor_is_told_as_a_ratio(say):
    found = only(say([KID]))
    assert found.text == ("edm images are 3.1 times further from test patients than real control patients are "
                          "(KID 0.0120, 95% interval 0.0100 to 0.0140, floor 0.0039).")  # fmt: skip
    assert found.level == "plain"


def test_a_floor_that_may_be_zero_gives_no_ratio(say):
    assert "edm images are further from" in only(say([replace(KID, floor=0.0001, floor_ci_low=-0.001)])).text


def test_a_distance_whose_interval_meets_the_floors_is_not_called_further(say):
    assert "cannot be told from real control patients" in only(say([replace(KID, ci_low=0.004)])).text


def test_a_distance_below_the_floor_is_called_closer(say):
    found = only(say([replace(KID, value=0.001, ci_low=0.0005, ci_high=0.0015)]))
    assert "closer to test patients than real control patients" in found.text


def test_few_patients_make_a_sentence_descriptive(say):
    found = only(say([replace(KID, status="descriptive", n_patients=12)]))
    assert found.text.endswith("; 12 patients only: descriptive.")
    assert (found.level, found.tag) == ("unclear", "Descriptive")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"status": "insufficient evidence", "note": "no control patients"}, "insufficient evidence: no control patients"),
     ({"status": "absent", "value": None, "note": "30 images"}, "KID of edm is absent: 30 images"),
     ({"floor": None}, "no floor or no interval"), ({"ci_low": None, "ci_high": None}, "no floor or no interval")],
)  # fmt: skip
def test_what_cannot_be_judged_says_insufficient_evidence_and_why(say, change, words):
    found = only(say([replace(KID, **change)]))
    assert (found.level, found.tag) == ("unclear", "Insufficient evidence")
    assert words in found.text


def test_recall_below_its_floor_is_told_as_missing_variety(say):
    recall = replace(KID, metric="recall", value=0.4, ci_low=0.3, ci_high=0.5, floor=0.8, floor_ci_low=0.7,
                     floor_ci_high=0.9, higher_is_better=True)  # fmt: skip
    precision = replace(recall, metric="precision", value=0.8, ci_low=0.75, ci_high=0.85)
    text = only(say([KID, precision, recall])).text
    assert (
        "Precision is 0.80 and recall 0.40, where real control patients reach 0.80 and 0.80: variety is missing."
        in text
    )


def test_a_set_closer_to_train_is_an_alarm_and_quiet_ones_share_a_sentence(say):
    quiet = [replace(CLOSER, generator=g, value=0.001, ci_low=-0.01) for g in ("gan", "vae")]
    alarm, calm = say([CLOSER, *quiet])
    assert alarm.level == "alarm"
    assert alarm.text.startswith("edm is closer to its training patients than new patients are (contrast 0.020,")
    assert calm.level == "fine"
    assert "gan or vae" in calm.text


def test_sets_that_may_have_seen_test_patients_are_named_once(say):
    noted = replace(KID, note="it is not known whether test patients were trained on")
    closer = replace(CLOSER, value=None, ci_low=None, ci_high=None, status="insufficient evidence",
                     note="it is not known which patients the set was trained on")  # fmt: skip
    _, cannot, caveat = say([noted, replace(noted, metric="recall"), closer])
    assert "cannot be said: it is not known which patients the set was trained on" in cannot.text
    assert caveat.text == ("edm: whether test patients were among those it was trained on is not known, so its "
                           "fidelity may be flattered.")  # fmt: skip
    both = say([noted, replace(noted, generator="gan")])[-1].text
    assert both.startswith("edm and gan: whether test patients were among those they were trained on")


def test_noise_that_is_not_worst_is_an_alarm(say):
    rows = [KID, replace(KID, generator="noise", value=0.001)]
    assert "Noise does not score worst on KID" in say(rows)[-1].text
    good = say([KID, replace(KID, generator="noise", value=0.9)])[-1]
    assert (good.level, good.text) == (
        "fine",
        "Noise scores worst on all 1 metrics of realism and variety, as it must.",
    )


def test_a_blend_that_beats_the_oracle_is_told(say):
    rows = [replace(KID, generator=g, value=v) for g, v in (("oracle", 0.004), ("blend", 0.002))]
    assert "blend" in only(say(rows)).text
    assert say(rows[:1]) == []


def test_a_flagged_set_is_an_alarm_with_its_numbers(say):
    affected = replace(COPIES, metric="patients_affected", value=17.0)
    found = only(say([replace(VERDICT, value=1.0), COPIES, affected], memorisation_findings))
    assert found.level == "alarm"
    assert found.text == ("edm is flagged: it holds copies of training patients: 98 in 1,000 images are flagged (95% "
                          "interval 80 to 120), against 9 of real control images; the flagged images are nearest to 17 "
                          "training patients.")  # fmt: skip


def test_a_set_without_copies_is_said_to_have_none_found(say):
    found = only(say([VERDICT], memorisation_findings))
    assert (found.level, found.text) == ("fine", "No copies of training patients were found in edm.")


def test_a_verdict_without_evidence_says_what_is_missing(say):
    row = replace(VERDICT, value=None, status="insufficient evidence",
                  note="Insufficient evidence: 30 control patients, 100 are needed. The rest is noise.")  # fmt: skip
    found = only(say([row], memorisation_findings))
    assert found.tag == "Insufficient evidence"
    assert found.text.startswith("Whether edm copies training patients cannot be said: 30 control patients, 100 are")


def test_controls_that_behave_are_told_in_one_sentence(say):
    values = {"oracle": 0.0, "copycat": 1.0, "blend": 1.0}
    found = only(say([replace(VERDICT, generator=g, value=v) for g, v in values.items()], memorisation_findings))
    assert found.text == "The copycat and the blend are flagged and the oracle is not."


@pytest.mark.parametrize(("name", "value"), [("oracle", 1.0), ("copycat", 0.0)])
def test_a_control_that_misbehaves_takes_the_detectors_word_away(say, name, value):
    found = only(say([replace(VERDICT, generator=name, value=value)], memorisation_findings))
    assert found.level == "alarm"
    assert "do not trust the detector" in found.text


def test_a_loss_at_the_external_site_is_told_with_its_interval(say):
    found = only(say([GAP], downstream_findings, "site Ashby"))
    assert found.text == ("A classifier trained on edm alone loses 0.080 AUROC at the external site Ashby against "
                          "training on real images (difference −0.080, 95% interval −0.120 to −0.040).")  # fmt: skip
    assert found.level == "alarm"


def test_twelve_patients_make_a_loss_descriptive(say):
    found = only(say([replace(GAP, n_patients=12, status="descriptive")], downstream_findings, "sites"))
    assert found.text.endswith("; 12 patients only: descriptive.")
    assert found.level == "unclear"


def test_an_interval_over_zero_is_not_separated_and_sets_share_the_sentence(say):
    rows = [replace(GAP, generator=g, ci_high=0.01) for g in ("edm", "gan")]
    found = only(say(rows, downstream_findings, "sites"))
    assert found.tag == "Not separated"
    assert "trained on edm or gan alone is not separated" in found.text


def test_a_gain_is_told_as_one(say):
    row = replace(GAP, variant="both - real-long", value=0.03, ci_low=0.01, ci_high=0.05, reference="test")
    found = only(say([row], downstream_findings, "sites"))
    assert (found.level, found.tag) == ("fine", "Gain")
    assert (
        "on real images and edm gains 0.030 AUROC on test patients of the seen sites against longer training"
        in found.text
    )


@pytest.mark.parametrize(
    "change",
    [{"value": None, "status": "absent"}, {"status": "insufficient evidence"}, {"ci_low": None, "ci_high": None}],
)
def test_a_difference_that_cannot_be_judged_says_why(say, change):
    found = only(say([replace(GAP, note="the set was labelled by nobody", **change)], downstream_findings, "sites"))
    assert found.tag == "Insufficient evidence"
    assert "the set was labelled by nobody" in found.text or "no interval" in found.text


def test_the_baseline_of_metadata_is_told_beside_real_training(say):
    rows = [replace(GAP, metric="auroc", generator="real", variant=v, reference="test", value=x, ci_low=x - 0.02,
                    ci_high=x + 0.02) for v, x in (("metadata", 0.61), ("real", 0.91))]  # fmt: skip
    text = only(say(rows, downstream_findings, "sites")).text
    assert "a baseline of metadata reaches AUROC 0.610" in text
    assert "training on real images reaches 0.910" in text


def test_limits_of_the_cohort_and_of_the_run_close_the_findings(made_up):
    topics = findings(Results([], made_up), replace(made_up, notes=("one seed only",)))
    assert [topic.title for topic in topics] == [
        "Fidelity",
        "Memorisation",
        "Downstream use",
        "The real data",
        "Limits",
    ]
    assert [f.text for f in topics[-1].findings][-1] == "one seed only."


def test_the_page_opens_with_what_was_tested(made_up):
    first, second, third = opening_sentences(made_up)
    assert first == ("3 synthetic sets of 1,200 images in all (edm, gan and vae), tested against phantom: 1,138 real "
                     "images of 569 patients, labelled by lesion.")  # fmt: skip
    assert "Ashby" in second
    assert "oracle, copycat, blend and noise" in third
    bare = replace(made_up, cohort=replace(made_up.cohort, label=""))
    assert opening_sentences(bare)[0].endswith("of 569 patients, without labels.")


def test_the_policy_is_told_in_words_and_six_digits_without_what_does_not_apply():
    policy = {"oblique": "keep", "low": -108.54701232910156, "high": 3563.0, "mode": "fixed", "window": None,
              "pixels_used": 0, "spacing_mm": [1.0, 0.5], "new": 3}  # fmt: skip
    assert policy_facts(policy) == [
        ("Window", "fixed"), ("Black at", "-108.547"), ("White at", "3563"), ("Spacing in mm", "1.0, 0.5"),
        ("Oblique volumes", "keep"), ("new", "3"),
    ]  # fmt: skip


def test_ids_that_are_not_of_patients_are_not_called_patients(made_up):
    lesions = replace(made_up, cohort=replace(made_up.cohort, unit="lesion"))
    assert "1,138 real images of 569 lesions, each counted as a patient" in opening_sentences(lesions)[0]
    alone = replace(made_up, cohort=replace(made_up.cohort, unit="image", patients=1138))
    assert (
        "tested against phantom: 1,138 real images, each counted as a patient, labelled" in opening_sentences(alone)[0]
    )
    assert dict(cohort_facts(lesions))["Patients"] == "569: each lesion counts as one"
