"""Settings of a cohort. Everything but ``root`` and ``key_file`` changes what is prepared and so enters the key."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_serializer, field_validator, model_validator

from synthassay.cohorts.deidentification_specs import DeidentificationSpec
from synthassay.cohorts.mask_specs import MaskSpec
from synthassay.cohorts.phantom.specs import PhantomSpec
from synthassay.cohorts.table_specs import Fact, TableSpec, check_path_facts, settings_of_a_table, shown
from synthassay.scans.devices import DevicePart
from synthassay.scans.limits import LimitSpec
from synthassay.scans.natures import Nature
from synthassay.scans.volumes import NotANumber, VolumeSpec
from synthassay.specs import Spec

__all__ = ["IN_DOMAIN", "ArraySpec", "CohortSpec", "DicomSpec", "ImagesSpec", "LabelSpec", "MaskSpec", "NiftiSpec",
           "SliceSpec", "SplitSpec", "TableSpec", "WindowSpec"]  # fmt: skip

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Group = Literal["site", "device", "view", "sex"]
SITE_FROM = r"^(folder:[1-9][0-9]?|[A-Za-z0-9]+)$"
DEVICE: tuple[DevicePart, ...] = ("manufacturer", "model")
IN_DOMAIN = ("generator-train", "control-a", "control-b", "validation", "test")
# Low and high in Hounsfield units, from the widths and levels that are usual at the workstation:
# https://radiopaedia.org/articles/windowing-ct (lung W 1500 L -600, bone W 1800 L 400, brain W 80 L 40, soft tissue
# of the abdomen W 400 L 50).
CT_WINDOWS = {"lung": (-1350.0, 150.0), "bone": (-500.0, 1300.0), "brain": (0.0, 80.0), "soft_tissue": (-150.0, 250.0)}


class WindowSpec(Spec):
    """Which source values become black and white.

    ``percentiles``: ``low`` and ``high`` are percentiles of all pixels of generator-train, and the two values found
    there serve every image of every split. ``fixed``: they are values in rescaled units (for CT, Hounsfield units; for
    8- and 16-bit photographs, the full range of the file is 0 to 255). ``scan``: they are percentiles of each file's
    own voxels; for MR volumes in arbitrary units. ``header``: each DICOM image by the window or VOI LUT of its own
    header, as a viewer shows it; what is black then differs from scan to scan. ``name``: a window for CT by its name,
    which goes before ``mode``, ``low`` and ``high``.
    """

    kind: Literal["window"] = "window"
    name: Literal["lung", "bone", "brain", "soft_tissue"] | None = None
    mode: Literal["percentiles", "fixed", "scan", "header"] = "percentiles"
    low: float = 0.5
    high: float = 99.5

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        window = CT_WINDOWS.get(str(data.get("name"))) if isinstance(data, dict) else None
        return data if window is None else {**data, "mode": "fixed", "low": window[0], "high": window[1]}

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"window.low ({self.low}) must be below window.high ({self.high})")
        if self.mode in ("percentiles", "scan") and not (self.low >= 0 and self.high <= 100):
            raise ValueError(f"percentiles lie between 0 and 100, got {self.low} and {self.high}")
        return self


class LabelSpec(Spec):
    """Where the label comes from and what its classes are called.

    ``source``: ``table`` (a table's label column), ``path`` (the group ``label`` of ``path_facts``), ``array`` (the
    labels of an array file), ``mask`` (pixels of a mask in the slice or picture), ``header:Keyword`` (a DICOM
    attribute, for example ``header:BodyPartExamined``) or ``none``.
    ``names`` are the classes in order; ``values`` say what stands for each in the source: a text or a list of texts,
    of which ``""`` is an empty cell and ``*`` every other text that is not empty (nothing given: the names
    themselves). With neither given, the classes are the distinct values found, sorted. With a ``separator`` a label is
    a list of values, and belongs to the class of those that are named.
    ``mask`` is the mask's path relative to the root, with ``{folder}``, ``{name}`` (file name without extension),
    ``{prefix}`` (``name`` without its last ``_part``), ``{subject}`` and ``{session}`` of the scan; where it is empty,
    masks are those in ``labels*`` beside ``images*`` (the layout of the Medical Segmentation Decathlon).
    """

    kind: Literal["label"] = "label"
    source: str = Field(default="table", pattern=r"^(table|path|array|mask|none|header:[A-Za-z0-9]+)$")
    name: str = "label"
    names: tuple[str, ...] = ()
    values: tuple[str | tuple[str, ...], ...] = ()
    separator: str = ""
    positive: str = ""
    mask: str = ""
    mask_values: tuple[int, ...] = ()
    mask_min_pixels: int = Field(default=1, ge=1)

    @field_serializer("mask")
    def _mask_without_names(self, mask: str) -> str:
        return shown(mask)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        texts = [text for value in self.values for text in ([value] if isinstance(value, str) else value)]
        if len(set(self.names)) != len(self.names) or len(set(texts)) != len(texts):
            raise ValueError("label.names and label.values must not repeat an entry")
        if self.values and len(self.values) != len(self.names):
            raise ValueError(f"label.values has {len(self.values)} entries and label.names {len(self.names)}; "
                             "give one value for each name")  # fmt: skip
        if len(self.names) == 1:
            raise ValueError("label.names has one class; give at least two, or none to take those found")
        if self.source == "mask" and len(self.names) not in (0, 2):
            raise ValueError("label.source=mask needs no or two label.names")
        if self.positive and self.names and self.positive not in self.names:
            raise ValueError(f"label.positive={self.positive!r} is not one of label.names {list(self.names)}")
        return self


class SplitSpec(Spec):
    """Shares of the patients of seen sites, what is held out as external, and what happens to small strata.

    A stratum is a site and device. ``small_strata``: ``pool`` merges strata with too few patients for every split,
    within their site first; ``error`` stops.
    """

    kind: Literal["split"] = "split"
    seed: int = 0
    generator_train: float = Field(default=0.5, ge=0, le=1)
    control_a: float = Field(default=0.1, ge=0, le=1)
    control_b: float = Field(default=0.1, ge=0, le=1)
    validation: float = Field(default=0.1, ge=0, le=1)
    test: float = Field(default=0.2, ge=0, le=1)
    external_sites: tuple[str, ...] = ()
    external_devices: tuple[str, ...] = ()
    small_strata: Literal["pool", "error"] = "pool"

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares in the order of :data:`IN_DOMAIN`."""
        return (self.generator_train, self.control_a, self.control_b, self.validation, self.test)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if not math.isclose(sum(self.shares), 1, abs_tol=1e-9):
            raise ValueError(f"the five shares must add up to 1, they add up to {sum(self.shares):g}")
        if not self.generator_train or not self.test:
            raise ValueError("split.generator_train and split.test must be above 0")
        return self


class DuplicateSpec(Spec):
    """What happens to images of one patient that stand under another patient's id as well.

    ``exact`` ones are equal pixel by pixel as prepared; ``near`` ones are close by perceptual hash and by correlation,
    or agree when they are laid on each other: also mirrored, turned, shifted and cropped ones. ``error`` stops where
    such a pair would stand in two splits; ``merge`` counts their patients as one; ``drop`` keeps the first image;
    ``report`` says so and goes on.
    """

    kind: Literal["duplicates"] = "duplicates"
    exact: Literal["error", "merge", "drop"] = "error"
    near: Literal["error", "merge", "drop", "report"] = "error"


class SliceSpec(Spec):
    """How volumes become two-dimensional images.

    A slice is kept when the share of its pixels above the background is at least ``min_foreground``; the background
    is ``foreground_above`` in rescaled units, or the lowest value of the scan's file where that is ``null``.
    ``every_n`` counts slices of a stack. ``with_mask`` keeps those that show some of the mask, ``around_mask`` so many
    around the slice that shows most of it. ``max_per_volume`` keeps evenly spaced ones of those that are left.
    """

    kind: Literal["slices"] = "slices"
    axis: Literal["axial", "coronal", "sagittal"] = "axial"
    every_n: int = Field(default=1, ge=1)
    min_foreground: float = Field(default=0.0, ge=0, le=1)
    foreground_above: float | None = None
    with_mask: bool = False
    around_mask: int | None = Field(default=None, ge=1)
    max_per_volume: int | None = Field(default=None, ge=1)


class CohortSpec(Spec):
    """What all cohorts share. ``size`` is rows = columns of the prepared images.

    ``path_facts`` is a regular expression that is searched in the path of each scan, relative to the root; its named
    groups (``patient``, ``study``, ``series``, ``label``, ``site``, ``device``, ``view``, ``age``, ``sex``) are facts
    about the scan, and a scan whose path does not match is not used. What a table says goes before what a path says,
    and both before a header. ``recode`` puts another text for a fact that tables and paths write in codes:
    ``{sex: {"1": M, "2": F}}``. ``keep`` lists the values of a fact that scans of the cohort have.

    ``site_from`` is a DICOM keyword (of a header, or of a BIDS sidecar), ``folder:N`` for the N-th folder below the
    root, or ``none``. ``merge_sites`` are pairs (from, to), or a mapping: sites that are one place under several
    names.

    ``table.path: null`` is no table; a label that would be read from it is then ``none``.
    """

    kind: Literal["dicom", "nifti", "images"]
    name: Name
    root: str | None = Field(default=None, exclude=True)
    key_file: str | None = Field(default=None, exclude=True)
    size: int = Field(default=64, ge=8, le=2048)
    channels: Literal[1, 3] = 1
    bits: Literal[8, 16] = 8
    fit: Literal["crop", "pad", "stretch"] = "crop"
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    window: WindowSpec = Field(default_factory=WindowSpec)
    label: LabelSpec = Field(default_factory=LabelSpec)
    masks: MaskSpec = Field(default_factory=MaskSpec)
    table: TableSpec | None = None
    path_facts: str = ""
    recode: dict[Group, dict[str, str]] = Field(default_factory=dict)
    keep: dict[Group, tuple[str, ...]] = Field(default_factory=dict)
    split: SplitSpec = Field(default_factory=SplitSpec)
    duplicates: DuplicateSpec = Field(default_factory=DuplicateSpec)
    slices: SliceSpec = Field(default_factory=SliceSpec)
    dimensions: Literal[2, 3] = 2
    volume: VolumeSpec = Field(default_factory=VolumeSpec)
    limits: LimitSpec = Field(default_factory=LimitSpec)
    patient_is: Literal["patient", "lesion", "image"] = "patient"
    max_patients: int | None = Field(default=None, ge=2)
    max_images_per_patient: int | None = Field(default=None, ge=1)
    site_from: str = Field(default="none", pattern=SITE_FROM)
    merge_sites: tuple[tuple[str, str], ...] = ()
    deidentification: DeidentificationSpec = Field(default_factory=DeidentificationSpec)

    @model_validator(mode="before")
    @classmethod
    def _no_path_is_no_table(cls, given: Any) -> Any:
        table = given.get("table") if isinstance(given, dict) else None
        if not isinstance(table, dict) or table.get("path", "") is not None:
            return given
        label = given.get("label")
        from_table = isinstance(label, dict) and label.get("source", "table") == "table"
        set_in_vain = [f"table.{name}" for name in settings_of_a_table(table)]
        set_in_vain += [f"label.{name}" for name in ("names", "values", "positive") if from_table and label.get(name)]
        if set_in_vain:
            raise ValueError(f"{set_in_vain[0]} is set, and table.path, the table that it is about, is not")
        return given | {"table": None} | ({"label": label | {"source": "none"}} if from_table else {})

    @field_validator("merge_sites", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        return tuple(value.items()) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _text_is_looked_for_in_pictures(self) -> Self:
        if self.deidentification.ocr and self.dimensions == 3:
            raise ValueError("deidentification.ocr looks for text in slices and pictures: set dimensions=2 for it")
        return self

    @property
    def image_shape(self) -> tuple[int, ...]:
        """``(h, w)`` of a prepared image, or ``(d, h, w)`` of a prepared volume."""
        if self.dimensions == 2:
            return self.size, self.size
        return self.volume.shape or (self.size, self.size, self.size)

    @property
    def needs_mask(self) -> bool:
        """Whether a scan without a mask cannot be used."""
        by_slices = self.dimensions == 2 and (self.slices.with_mask or self.slices.around_mask is not None)
        centred = self.dimensions == 3 and self.volume.centre == "mask"
        return self.label.source == "mask" or by_slices or centred

    @field_serializer("include", "exclude")
    def _patterns_without_names(self, patterns: tuple[str, ...]) -> list[str]:
        return [shown(pattern) for pattern in patterns]

    @field_validator("path_facts")
    @classmethod
    def _path_facts_have_groups(cls, pattern: str) -> str:
        return check_path_facts(pattern)

    @field_serializer("path_facts")
    def _pattern_without_names(self, pattern: str) -> str:
        return shown(pattern)

    @property
    def tables(self) -> dict[str, TableSpec]:
        """The tables in the order in which they are joined, by the settings' names."""
        return self.table.all if self.table is not None else {}

    @property
    def array_facts(self) -> tuple[str, ...]:
        """The facts that array files hold."""
        return ()

    @model_validator(mode="after")
    def _label_has_a_source(self) -> Self:
        tables = self.tables.values()
        if self.label.source == "table" and not any(table.label for table in tables):
            raise ValueError("label.source=table needs table.path and table.label, the name of the label column; "
                             "for scans without labels set label.source=none")  # fmt: skip
        if self.label.source == "path" and "(?P<label>" not in self.path_facts:
            raise ValueError("label.source=path needs path_facts with a group (?P<label>...)")
        if self.label.source == "array" and "label" not in {*self.array_facts}:
            raise ValueError("label.source=array is for array files, and needs arrays.rows or arrays.attributes to say "
                             "where the label is: {label: NAME}")  # fmt: skip
        if not self.label.separator and any(table.several_rows == "list" for table in tables):
            raise ValueError("table.several_rows=list needs label.separator, for example |")
        return self

    @model_validator(mode="after")
    def _kind_can_do_it(self) -> Self:
        if self.label.source == "mask" and self.kind == "dicom":
            raise ValueError("label.source=mask is for cohorts of NIfTI volumes or pictures")
        if self.label.source.startswith("header:") and self.kind != "dicom":
            raise ValueError("label.source=header:... is for cohorts of DICOM files")
        if self.needs_mask and self.label.source != "mask" and self.kind != "nifti":
            raise ValueError(
                "slices.with_mask, slices.around_mask and volume.centre=mask are for cohorts of NIfTI volumes"
            )
        if self.masks.keep and self.kind == "images" and not self.label.mask:
            raise ValueError("masks.keep needs label.mask, which says where the mask of a picture lies")
        if self.window.mode == "header" and self.kind != "dicom":
            raise ValueError("window.mode=header is for cohorts of DICOM files")
        if self.dimensions == 3 and self.window.mode == "header":
            raise ValueError("window.mode=header is for dimensions=2: the slices of a volume may have several windows")
        return self


class DicomSpec(CohortSpec):
    """Any folder of DICOM files. ``view_from`` is a DICOM keyword, or ``none``.

    ``device_from`` are the facts of a scanner that make up the device.

    ``units`` of grey values: ``stored``, ``rescaled`` (rescale slope and intercept or modality LUT applied; for CT,
    Hounsfield units) or ``suv`` (for PET, standardised uptake by body weight; files that do not tell it are refused).

    ``without`` leaves files out by what their headers say they are.

    With ``dimensions=3`` each stack of parallel slices at even distances is one image; ``volume.index`` keeps that
    number of each series (for example the first b-value), ``null`` all.

    ``phantom``: when no ``root`` is given, the digital phantom is written with these settings and read instead.
    """

    kind: Literal["dicom"] = "dicom"
    site_from: str = Field(default="InstitutionName", pattern=SITE_FROM)
    device_from: tuple[DevicePart, ...] = DEVICE
    view_from: str = "ViewPosition"
    units: Literal["stored", "rescaled", "suv"] = "rescaled"
    modalities: tuple[str, ...] = ()
    without: tuple[Nature, ...] = ()
    phantom: PhantomSpec | None = None

    @model_validator(mode="after")
    def _volumes_of_series(self) -> Self:
        if self.volume.index == "mean":
            raise ValueError("volume.index=mean is for NIfTI volumes; give a number, or null for all of a series")
        if self.dimensions == 2 and (self.volume.spacing_mm is not None or self.volume.oblique == "resample"):
            raise ValueError("DICOM slices are taken as they were scanned: volume.spacing_mm and volume.oblique need "
                             "dimensions=3")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _masks_of_the_phantom(self) -> Self:
        if self.masks.keep and (self.phantom is None or self.dimensions == 3):
            raise ValueError("DICOM cohorts have no masks, but for the slices (dimensions=2) of the phantom: leave "
                             "masks.keep=false, or give NIfTI volumes or pictures with masks")  # fmt: skip
        return self


class NiftiSpec(CohortSpec):
    """NIfTI volumes: BIDS, or any folder with a table.

    The patient is the table's patient column when the table is joined on files, else the ``sub-`` part of the path,
    else the case of the Medical Segmentation Decathlon's layout, else the file. Site and device come from the table,
    else from the BIDS sidecars of the volume. ``not_a_number``: a volume or mask with voxels that are NaN is refused,
    or these count as background, which is the volume's lowest value and nothing in a mask.
    """

    kind: Literal["nifti"] = "nifti"
    not_a_number: NotANumber = "refuse"
    site_from: str = Field(default="InstitutionName", pattern=SITE_FROM)
    device_from: tuple[DevicePart, ...] = DEVICE
    include: tuple[str, ...] = ("*.nii", "*.nii.gz", "*.hdr")

    @model_validator(mode="after")
    def _whole_volumes_are_grey(self) -> Self:
        if self.channels != 1 and self.dimensions == 3:
            raise ValueError("whole volumes are grey: channels must be 1 with dimensions=3")
        return self


class ArraySpec(Spec):
    """How array files (NPZ, HDF5) hold images.

    ``images`` names the arrays of images, with ``*`` for what differs between them. ``first_axis`` says what their
    rows are: ``scans``, each of its own, ``[h, w]``, ``[h, w, 3]`` or a volume ``[d, h, w]``; or ``slices`` of one
    scan. An array ``[h, w]`` or ``[h, w, 3]`` is one image. ``rows`` names arrays with a fact for each row (``*``
    stands for the same text as in ``images``), of which ``column`` must be chosen where they have several;
    ``attributes`` names attributes of an HDF5 file with a fact about all.
    """

    kind: Literal["arrays"] = "arrays"
    images: str = Field(default="*_images", min_length=1)
    first_axis: Literal["scans", "slices"] = "scans"
    rows: dict[Fact, str] = Field(default_factory=dict)
    column: int | None = Field(default=None, ge=0)
    attributes: dict[Fact, str] = Field(default_factory=dict)


class ImagesSpec(CohortSpec):
    """PNG, JPEG or TIFF images, or array files, with a table."""

    kind: Literal["images"] = "images"
    arrays: ArraySpec = Field(default_factory=ArraySpec)
    window: WindowSpec = Field(default=WindowSpec(mode="fixed", low=0, high=255))

    @property
    def array_facts(self) -> tuple[str, ...]:
        """The facts that array files hold."""
        return (*self.arrays.rows, *self.arrays.attributes)

    @field_validator("site_from")
    @classmethod
    def _no_header(cls, site_from: str) -> str:
        if site_from != "none" and not site_from.startswith("folder:"):
            raise ValueError("pictures have no header: site_from is folder:N or none, or map table.site")
        return site_from
