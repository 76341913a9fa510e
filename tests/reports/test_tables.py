import io
import json
from dataclasses import fields, replace

import pandas as pd
import pytest

from synthassay.records import MetricResult, identity
from synthassay.reports.tables import finite, ordered, result_from_json, to_json, to_parquet

ROW = MetricResult(family="fidelity", metric="kid", generator="edm", value=0.1, ci_low=0.0, ci_high=0.2)


def test_results_come_back_from_json_as_they_went(made_up):
    rows = ordered(made_up.results)
    document = json.loads(to_json(made_up, rows))
    assert [result_from_json(row) for row in document["results"]] == rows


def test_parquet_has_the_same_rows_with_every_field_and_its_type(made_up):
    rows = ordered(made_up.results)
    frame = pd.read_parquet(io.BytesIO(to_parquet(rows)))
    assert list(frame.columns) == [f.name for f in fields(MetricResult)]
    found = [{k: None if pd.isna(v) else v for k, v in row.items()} for row in frame.to_dict("records")]
    assert found == [row.to_row() for row in rows]


def test_parquet_keeps_its_types_when_every_value_is_absent():
    frame = pd.read_parquet(io.BytesIO(to_parquet([replace(ROW, value=None, ci_low=None, ci_high=None)])))
    assert frame["value"].dtype == float
    assert frame["n_real"].dtype == "int64"


def test_an_identity_whose_value_looks_like_two_parts_survives_json(made_up):
    row = replace(ROW, identity=identity(definition="a=b; c=d"))
    assert result_from_json(json.loads(to_json(made_up, [row]))["results"][0]) == row


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_becomes_absent_and_says_so(bad):
    row = finite(replace(ROW, value=bad))
    assert (row.value, row.ci_low, row.ci_high, row.status) == (None, None, None, "absent")
    assert "value" in row.note


def test_an_interval_that_is_no_number_is_dropped_and_its_value_kept():
    row = finite(replace(ROW, ci_high=float("nan"), note="few"))
    assert (row.value, row.ci_low, row.ci_high, row.status) == (0.1, None, None, "ok")
    assert row.note == "few; not a finite number: ci_high"


def test_a_finite_row_is_left_alone():
    assert finite(ROW) is ROW


def test_two_answers_to_one_question_are_refused():
    with pytest.raises(ValueError, match=r"two results for .*kid"):
        ordered([ROW, replace(ROW, value=0.2)])


def test_rows_stand_by_family_metric_set_and_all_before_groups():
    rows = [replace(ROW, generator=g, group=group) for g in ("b", "a") for group in ("site=A", "all")]
    rows.append(replace(ROW, family="downstream", metric="auroc"))
    found = [(row.family, row.generator, row.group) for row in ordered(rows[::-1], ["b", "a"])]
    assert found == [("fidelity", "b", "all"), ("fidelity", "b", "site=A"), ("fidelity", "a", "all"),
                     ("fidelity", "a", "site=A"), ("downstream", "edm", "all")]  # fmt: skip
