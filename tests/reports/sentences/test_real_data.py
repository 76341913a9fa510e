from dataclasses import replace

from synthassay.reports.real_data.view import CardView
from synthassay.reports.sentences.real_data import real_data_findings
from tests.reports.cards import make_card


def found(card):
    return {item.tag: item for item in real_data_findings(CardView(card, "lesion"))}


def changed(**wanted):
    """The made-up card where rows of ``topic`` and ``group`` have other values."""
    topic, group, changes = wanted["topic"], wanted["group"], wanted["changes"]
    card = make_card()
    return replace(card, rows=[replace(r, **changes) if (r.topic, r.group) == (topic, group) else r for r in card.rows])


def test_a_site_that_pixels_tell_is_an_alarm_and_says_that_the_label_goes_with_it():
    item = found(make_card())["Shortcut possible"]
    assert item.level == "alarm"
    assert "“Northfield” and “Weir Road” of patients never seen: AUROC 0.930 (95% interval 0.910 to 0.950)" in item.text
    assert "shuffled sites reach up to 0.57" in item.text
    assert item.text.endswith("The label goes with it, so a classifier gains by recognising the place.")


def test_where_the_label_does_not_go_with_it_this_is_not_claimed():
    level = {"value": 0.4, "ci_low": 0.35, "ci_high": 0.45}
    card = changed(topic="prevalence", group="site=Northfield", changes=level)
    card = replace(card, rows=[replace(r, **level) if r.topic == "prevalence" and r.group == "site=Weir Road" else r
                               for r in card.rows])  # fmt: skip
    assert "Whatever goes with it can be learnt in its stead" in found(card)["Shortcut possible"].text


def test_what_chance_reaches_is_not_called_a_shortcut_and_not_called_settled():
    item = found(make_card())["Not settled"]
    assert item.level == "unclear"
    assert "Pixels do not tell the devices “Vendor A / M1” and “Vendor B / X9” beyond chance" in item.text


def test_too_few_patients_are_insufficient_evidence():
    none = {"value": None, "ci_low": None, "ci_high": None, "status": "insufficient evidence", "note": "1 site only"}
    item = found(changed(topic="shortcut", group="site=Northfield", changes=none))["Insufficient evidence"]
    assert item.text == "Whether the site can be told from pixels cannot be said: 1 site only."


def test_places_are_compared_by_their_intervals_and_the_largest_drift_is_named():
    tags = found(make_card())
    assert "their 95% intervals are apart" in tags["Places differ"].text
    assert "A large shift between sites is that of age at “Northfield” against the others: −1.20" in tags["Drift"].text
    assert "In 2 of 2 comparisons" in tags["Drift"].text
    assert tags["Missing"].text == "Nowhere known: view; unknown for some images: age of 2.1%."


def test_without_a_card_nothing_is_said():
    from synthassay.card import DataCard

    assert found(DataCard()) == {}
