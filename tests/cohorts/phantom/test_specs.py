import pytest
from pydantic import ValidationError

from synthassay.cohorts.phantom.specs import DeviceModel, PhantomSpec, SitePlan


def test_default_phantom_has_three_hospitals_and_two_vendors_with_a_device_each():
    spec = PhantomSpec()
    assert len(spec.sites) == 3
    assert len({site.institution for site in spec.sites}) == 3
    assert len({site.manufacturer for site in spec.sites}) == 2
    assert len({(site.manufacturer, site.model) for site in spec.sites}) == 3
    assert [spec.device_of(site).model for site in spec.sites] == [site.model for site in spec.sites]


@pytest.mark.parametrize(
    ("field", "value"),
    [("studies", (3, 1)), ("studies", (0, 2)), ("images_per_study", (1, 99)), ("age_range", (80, 20)),
     ("lesion_contrast", (0.5, 0.1)), ("lesion_radius_mm", (5.0, 60.0))],
)  # fmt: skip
def test_impossible_range_is_refused_by_name(field: str, value: tuple[float, float]):
    with pytest.raises(ValidationError, match=field):
        PhantomSpec(**{field: value})


def test_site_with_an_undescribed_device_is_refused(site: SitePlan):
    with pytest.raises(ValidationError, match="no device"):
        PhantomSpec(sites=(site.model_copy(update={"model": "Unknown"}),))


def test_sites_that_share_a_folder_are_refused(site: SitePlan):
    with pytest.raises(ValidationError, match="site names must differ"):
        PhantomSpec(sites=(site, site.model_copy(update={"name": site.name.upper()})))


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden"])
def test_site_name_that_could_leave_the_folder_is_refused(site: SitePlan, name: str):
    with pytest.raises(ValidationError):
        SitePlan(**{**site.model_dump(), "name": name})


def test_text_that_dicom_would_split_is_refused(site: SitePlan):
    with pytest.raises(ValidationError):
        SitePlan(**{**site.model_dump(), "institution": "one\\two"})


def test_key_holds_the_fields_of_sites_and_devices(site: SitePlan):
    one = PhantomSpec(sites=(site,))
    other = PhantomSpec(sites=(site.model_copy(update={"prevalence": 0.123}),))
    assert one.to_key() != other.to_key()
    assert one.to_key()["devices"][0]["blur_px"] == one.devices[0].blur_px


def test_device_whose_values_would_overflow_is_refused():
    with pytest.raises(ValidationError, match="full signal would be stored"):
        DeviceModel(manufacturer="M", model="1", gain=1000.0, rescale_slope=0.1)
