"""Settings of the digital phantom. Everything here changes the images, so everything here enters the key."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from synthassay.specs import Spec

STORED_BITS = 12  # of the 16 that are allocated, as scanners do
STORED_MAX = (1 << STORED_BITS) - 1

# What DICOM allows in LO (64 characters) and SH (16): any text without backslash or control characters.
LongText = Annotated[str, StringConstraints(pattern=r"^[^\\\x00-\x1f\x7f]+$", max_length=64)]
ShortText = Annotated[str, StringConstraints(pattern=r"^[^\\\x00-\x1f\x7f]+$", max_length=16)]
FolderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,15}$")]


class DeviceModel(Spec):
    """A scanner as the phantom sees it: how the scene's signal becomes stored values.

    ``signal -> blur -> coil shading -> signal**gamma -> Rician noise -> gain -> (value - intercept) / slope``.
    """

    kind: Literal["phantom-device"] = "phantom-device"
    manufacturer: LongText
    model: LongText
    field_strength_t: float = Field(default=1.5, gt=0, le=14)
    blur_px: float = Field(default=0.6, ge=0, le=8)  # standard deviation of the Gaussian point spread, native pixels
    noise_sigma: float = Field(default=0.03, ge=0, le=1)  # of each channel, in units of full signal
    gamma: float = Field(default=1.0, gt=0.2, lt=5)  # contrast curve; below 1 brightens the dark tissues
    gain: float = Field(default=1000.0, gt=0)  # rescaled value of full signal
    shading: float = Field(default=0.06, ge=0, lt=1)  # relative amplitude of the smooth coil sensitivity
    rescale_slope: float = Field(default=1.0, gt=0)
    rescale_intercept: float = 0.0

    @model_validator(mode="after")
    def _full_signal_can_be_stored(self) -> Self:
        full = (self.gain - self.rescale_intercept) / self.rescale_slope
        if full > STORED_MAX:
            raise ValueError(
                f"full signal would be stored as {full:.0f}, above {STORED_MAX}; lower gain or raise slope"
            )
        return self


class SitePlan(Spec):
    """One hospital: who stands in its headers, how many patients it has and how often they have the lesion."""

    kind: Literal["phantom-site"] = "phantom-site"
    name: FolderName  # short, unique: folder of its files and ``site`` column of the truth
    institution: LongText
    manufacturer: LongText
    model: LongText
    station: ShortText
    patients: int = Field(gt=0)
    prevalence: float = Field(ge=0, le=1)  # probability that a patient has the lesion


def _default_devices() -> tuple[DeviceModel, ...]:
    return (
        DeviceModel(manufacturer="Meridian Imaging", model="Solano 1.5", field_strength_t=1.5, blur_px=0.7,
                    noise_sigma=0.035, gamma=1.0, gain=900.0),
        DeviceModel(manufacturer="Norrland Medical", model="Kvist 3T", field_strength_t=3.0, blur_px=1.1,
                    noise_sigma=0.022, gamma=1.3, gain=1400.0, shading=0.12, rescale_slope=0.5),
        DeviceModel(manufacturer="Meridian Imaging", model="Solano 3", field_strength_t=3.0, blur_px=0.45,
                    noise_sigma=0.022, gamma=0.8, gain=1000.0, shading=0.1),
    )  # fmt: skip


def _default_sites() -> tuple[SitePlan, ...]:
    return (
        SitePlan(name="ashgrove", institution="Ashgrove General Hospital", manufacturer="Meridian Imaging",
                 model="Solano 1.5", station="ASHMR1", patients=90, prevalence=0.5),
        SitePlan(name="birkdale", institution="Birkdale University Hospital", manufacturer="Norrland Medical",
                 model="Kvist 3T", station="BIRMR2", patients=80, prevalence=0.35),
        SitePlan(name="corran", institution="Corran Bay Infirmary", manufacturer="Meridian Imaging",
                 model="Solano 3", station="CORMR1", patients=50, prevalence=0.4),
    )  # fmt: skip


class PhantomSpec(Spec):
    """A simulated cohort of axial head MR images with one lesion label.

    Raises ``ValueError`` where a site names a device that is not described, two sites share a name, or a range is
    reversed.
    """

    kind: Literal["phantom"] = "phantom"
    seed: int = Field(default=0, ge=0)
    size: int = Field(default=96, ge=32, le=512)  # rows and columns of the DICOM images; the field of view is 220 mm
    sites: tuple[SitePlan, ...] = Field(default_factory=_default_sites, min_length=1)
    devices: tuple[DeviceModel, ...] = Field(default_factory=_default_devices, min_length=1)
    studies: tuple[int, int] = (1, 3)  # fewest and most studies of a patient, each count equally likely
    images_per_study: tuple[int, int] = (1, 1)  # fewest and most slices of a study
    slice_gap_mm: float = Field(default=5.0, gt=0, le=10)
    age_range: tuple[int, int] = (20, 85)  # years at the first study, uniform
    texture_beta: float = Field(default=3.0, ge=0, le=5)  # the texture's power spectrum falls as 1 / f**beta
    texture_strength: float = Field(default=0.06, ge=0, le=0.5)  # standard deviation, relative to the tissue's signal
    lesion_radius_mm: tuple[float, float] = (10.0, 17.0)  # at the first study, uniform
    lesion_contrast: tuple[float, float] = (0.07, 0.50)  # signal added at the centre, uniform; white matter has 0.42
    lesion_growth: tuple[float, float] = (0.03, 0.15)  # relative growth of the radius from one study to the next
    pose_shift_mm: float = Field(default=2.0, ge=0, le=10)  # standard deviation of the head's position in the scanner
    pose_rotation_deg: float = Field(default=2.0, ge=0, le=15)  # standard deviation of its rotation in the plane

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {(device.manufacturer, device.model) for device in self.devices}
        if len(known) != len(self.devices):
            raise ValueError("two devices share manufacturer and model")
        names = [site.name.casefold() for site in self.sites]
        if len(set(names)) != len(names):
            raise ValueError(f"site names must differ (upper and lower case count as equal), got {names}")
        for site in self.sites:
            if (site.manufacturer, site.model) not in known:
                raise ValueError(f"site {site.name}: no device {site.manufacturer!r} {site.model!r} under devices")
        lowest = {"studies": 1, "images_per_study": 1, "age_range": 0, "lesion_radius_mm": 2.0, "lesion_contrast": 0.0,
                  "lesion_growth": 0.0}  # fmt: skip
        highest = {"studies": 20, "images_per_study": 9, "age_range": 100, "lesion_radius_mm": 20.0,
                   "lesion_contrast": 1.0, "lesion_growth": 1.0}  # fmt: skip
        for field, low in lowest.items():
            start, end = getattr(self, field)
            if not low <= start <= end <= highest[field]:
                raise ValueError(f"{field}: expected {low} <= lowest <= highest <= {highest[field]}, got {start, end}")
        return self

    def device_of(self, site: SitePlan) -> DeviceModel:
        """The device that ``site`` scans with."""
        key = (site.manufacturer, site.model)
        return next(device for device in self.devices if (device.manufacturer, device.model) == key)
