"""Settings of a set that somebody else generated. Light: no image library is imported."""

from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_serializer, model_validator

from synthassay.scans.limits import LimitSpec
from synthassay.specs import Spec

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class ExternalColumns(Spec):
    """What the columns of the table are called; ``None`` for what it does not have."""

    kind: Literal["external-columns"] = "external-columns"
    path: str = "path"  # of each image, relative to the root
    label: str | None = "label"  # a class name of the cohort, or its index
    site: str | None = None
    device: str | None = None


class ExternalArrays(Spec):
    """How NPZ and HDF5 files hold images, each row of an array one.

    ``images`` names the arrays of images, with ``*`` for any text; ``labels`` arrays with a label for each row, where
    ``*`` is the same text. ``range`` are the values that are black and white; without it whole depths of 8 and 16 bits
    keep their full range, and other numbers pass the cohort's intensity policy.
    """

    kind: Literal["external-arrays"] = "external-arrays"
    images: str = Field(default="*images", min_length=1)
    labels: str | None = None
    range: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("arrays.range is [black, white], and black must be below white")
        return self


class ExternalSpec(Spec):
    """A folder of pictures, DICOM, NIfTI or array files, scored like any generator's images, without training.

    ``root`` and ``trained_on`` are places, not content, so they are no part of a key: the files enter it by
    :func:`synthassay.generators.external.sets.external_fingerprint`, and the list of patients by what it says.
    """

    kind: Literal["external"] = "external"
    name: Name = "external"
    root: str | None = Field(None, exclude=True)
    table: str | None = None  # CSV or TSV, relative to the root or absolute; None: every image in the folder
    columns: ExternalColumns = ExternalColumns()
    arrays: ExternalArrays = ExternalArrays()
    resize: bool = False  # True: another size is fitted and resampled as the cohort's images were
    channels: Literal["exact", "match"] = "exact"  # match: grey ↔ RGB, from RGB only where the three are equal
    axis: Literal["axial", "coronal", "sagittal"] = "axial"  # which slices of NIfTI volumes become images
    every_n: int = Field(1, ge=1)  # of the slices of a volume, every n-th
    trained_on: str | None = Field(None, exclude=True)  # file with the patients that the generator was trained on
    images: int | None = Field(None, ge=1)  # at most so many, drawn evenly from the files; None: all
    limits: LimitSpec = LimitSpec()  # of one file

    @model_validator(mode="after")
    def _one_place_of_labels(self) -> Self:
        if self.table is not None and self.columns.label is not None and self.arrays.labels is not None:
            raise ValueError("labels come from the table or from arrays.labels; set columns.label or arrays.labels "
                             "to null")  # fmt: skip
        return self

    @field_serializer("table")
    def _table_without_folder(self, table: str | None) -> str | None:
        # An absolute path says where a table lies on one machine; its content enters the key by the fingerprint.
        return PurePath(table).name if table is not None and PurePath(table).is_absolute() else table
