"""Settings of what is sampled. They change no training."""

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from synthassay.errors import UserError
from synthassay.specs import Spec

Rule = Literal["real", "uniform", "table"]
ChangedName = Literal["label", "site", "device", "sex", "age_band", "slice_position"]
RULES = ("real", "uniform")


class PlanSpec(Spec):
    """Which conditions the synthetic images have; written as ``real``, ``uniform`` or the path of a table.

    ``real``: those of generator-train, in its proportions. ``uniform``: every combination of labels and groups that
    generator-train shows equally often, so that rare ones are as many as frequent ones. ``table``: the rows of a CSV or
    TSV file. Where the table lies is no part of a key, but its content is, as ``digest``.
    """

    kind: Literal["plan"] = "plan"
    rule: Rule = "real"
    table: str | None = Field(default=None, exclude=True)
    digest: str = ""  # sha256 (hex) of the table's bytes, filled in

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        if data in RULES:
            return {"rule": data}
        path = Path(data).expanduser()
        if not path.is_file():
            raise UserError(f"sample.plan={data} is neither real nor uniform, and no file.\n"
                            "Give one of the two, or the path of a CSV or TSV table.")  # fmt: skip
        return {"rule": "table", "table": data, "digest": hashlib.sha256(path.read_bytes()).hexdigest()}

    @model_validator(mode="after")
    def _table_where_asked(self) -> "PlanSpec":
        if (self.rule == "table") != (self.table is not None):
            raise ValueError("sample.plan: write real, uniform, or the path of a table")
        return self


class CounterfactualSpec(Spec):
    """What is drawn besides the set: the same seed with one condition changed."""

    kind: Literal["counterfactuals"] = "counterfactuals"
    columns: tuple[ChangedName, ...] | None = None  # None: every condition of a generator; empty: none
    seeds: int = Field(default=10, ge=2)  # behind the numbers; the first of them are shown


class SampleSpec(Spec):
    """How every generator of a run is sampled."""

    kind: Literal["sample"] = "sample"
    plan: PlanSpec = PlanSpec()
    counterfactuals: CounterfactualSpec = CounterfactualSpec()
