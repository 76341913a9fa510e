"""Settings of a set that somebody else generated. Light: no image library is imported."""

from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_serializer

from synthassay.specs import Spec

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class ExternalColumns(Spec):
    """What the columns of the table are called; ``None`` for what it does not have."""

    kind: Literal["external-columns"] = "external-columns"
    path: str = "path"  # of each image file, relative to the root
    label: str | None = "label"  # a class name of the cohort, or its index
    site: str | None = None
    device: str | None = None


class ExternalSpec(Spec):
    """A folder of PNG, JPEG, TIFF, DICOM or NIfTI files, scored like any generator's images, without training.

    ``root`` and ``trained_on`` are places, not content, so they are no part of a key: the files enter it by
    :func:`synthassay.generators.external.external_fingerprint`, and the list of patients by what it says.
    """

    kind: Literal["external"] = "external"
    name: Name = "external"
    root: str | None = Field(None, exclude=True)
    table: str | None = None  # CSV or TSV, relative to the root or absolute; None: no labels, every image in the folder
    columns: ExternalColumns = ExternalColumns()
    resize: bool = False  # True: another size is fitted and resampled as the cohort's images were
    channels: Literal["exact", "match"] = "exact"  # match: grey ↔ RGB, from RGB only where the three are equal
    axis: Literal["axial", "coronal", "sagittal"] = "axial"  # which slices of NIfTI volumes become images
    every_n: int = Field(1, ge=1)  # of the slices of a NIfTI volume, every n-th
    trained_on: str | None = Field(None, exclude=True)  # file with the patients that the generator was trained on
    images: int | None = Field(None, ge=1)  # at most so many, drawn evenly from the files; None: all
    max_values: int = Field(1 << 28, ge=1)  # rows × columns × slices × channels of one file; more is not decoded

    @field_serializer("table")
    def _table_without_folder(self, table: str | None) -> str | None:
        # An absolute path says where a table lies on one machine; its content enters the key by the fingerprint.
        return PurePath(table).name if table is not None and PurePath(table).is_absolute() else table
