import h5py
import numpy as np
import pytest

from synthassay.cohorts.array_files import describe, note_parts, read_images
from synthassay.cohorts.specs import ArraySpec, ImagesSpec, LabelSpec, WindowSpec
from synthassay.errors import UserError
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import VolumeSpec

BLANK = LabelSpec(source="none")


def spec_of(**arrays) -> ImagesSpec:
    return ImagesSpec(name="arrays", size=8, channels=1, label=BLANK, arrays=ArraySpec(**arrays))


def read(root, spec) -> list[np.ndarray]:
    return [read_images(root, source, spec).pixels for source in describe(root, "a.npz", spec)]


def test_each_row_is_a_scan_with_its_facts(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    np.savez_compressed(tmp_path / "a.npz", val_images=images[:1], train_images=images, train_labels=[[1], [0], [1]],
                        val_labels=[[0]], train_who=["p", "p", "q"], val_who=["r"])  # fmt: skip
    spec = spec_of(rows={"label": "*_labels", "patient": "*_who"})
    sources = sorted(describe(tmp_path, "a.npz", spec), key=lambda source: source.path)
    assert [source.path for source in sources] == [
        "a.npz/train_images/000000", "a.npz/train_images/000001", "a.npz/train_images/000002", "a.npz/val_images/000000"
    ]  # fmt: skip
    assert [(source.label, source.patient) for source in sources] == [("1", "p"), ("0", "p"), ("1", "q"), ("0", "r")]
    assert np.array_equal(read_images(tmp_path, sources[1], spec).pixels[0, 0], images[1])
    (note,) = note_parts(sources)
    assert note.startswith("The array files hold train_images (3), val_images (1); splits are drawn anew")


@pytest.mark.parametrize(
    ("shape", "channels", "planes"),
    [((2, 8, 8), 1, 1), ((2, 8, 8, 1), 1, 1), ((2, 8, 8, 3), 3, 1), ((2, 5, 8, 8), 1, 5), ((2, 5, 8, 8, 3), 3, 5)],
)
def test_rows_are_pictures_or_volumes_by_their_shape(tmp_path, shape, channels, planes):
    np.savez(tmp_path / "a.npz", images=np.zeros(shape, np.uint8))
    spec = spec_of(images="images").model_copy(update={"channels": channels})
    assert [pixels.shape for pixels in read(tmp_path, spec)] == [(planes, channels, 8, 8)] * 2


@pytest.mark.parametrize("first_axis", ["scans", "slices"])
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_an_array_may_be_one_picture(tmp_path, shape, first_axis):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", image=picture, label=picture > 100)
    spec = spec_of(images="image", first_axis=first_axis).model_copy(update={"channels": 3})
    (source,) = describe(tmp_path, "a.npz", spec)
    assert source.path == "a.npz"
    (pixels,) = read_images(tmp_path, source, spec).pixels
    assert np.array_equal(np.moveaxis(pixels, 0, 2), np.atleast_3d(picture) * np.ones(3, np.uint8))


@pytest.mark.parametrize(("shape", "first_axis"), [((8, 8), "scans"), ((8, 8, 3), "scans"), ((5, 8, 8), "slices")])
def test_facts_for_each_row_of_an_array_that_is_one_scan_are_refused(tmp_path, shape, first_axis):
    np.savez(tmp_path / "a.npz", image=np.zeros(shape, np.uint8), label=np.zeros(shape[0]))
    with pytest.raises(Unreadable, match=r"the array is one scan, of whose rows arrays\.rows cannot tell"):
        describe(tmp_path, "a.npz", spec_of(images="image", first_axis=first_axis, rows={"label": "label"}))


def test_rows_of_pixels_are_not_counted_as_frames(tmp_path):
    np.savez(tmp_path / "a.npz", image=np.zeros((8, 8), np.uint8))
    spec = spec_of(images="image").model_copy(update={"limits": LimitSpec(frames=7)})
    assert len(read(tmp_path, spec)[0]) == 1
    np.savez(tmp_path / "a.npz", image=np.zeros((8, 8, 8), np.uint8))
    with pytest.raises(Unreadable, match=r"limits\.frames"):
        read(tmp_path, spec.model_copy(update={"arrays": ArraySpec(images="image", first_axis="slices")}))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_masks_among_the_arrays_are_found(tmp_path, scans, dimensions):
    scan = scans.texture(1, shape=(6, 8, 8))
    np.savez(tmp_path / "a.npz", images=np.stack([scan, scan > scan.mean(), np.zeros_like(scan)]))
    changes = {"dimensions": dimensions, "volume": VolumeSpec(shape=(8, 8, 8))}
    spec = spec_of(images="images").model_copy(update=changes)
    found = [read_images(tmp_path, source, spec).planes for source in describe(tmp_path, "a.npz", spec)]
    assert [planes[-1].few_values for planes in found] == [False, True, False]


def test_three_slices_are_not_told_from_colours_first(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 8, 8), np.uint8))
    with pytest.raises(Unreadable, match="three slices, or three colours first"):
        read(tmp_path, spec_of(images="images"))
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 8, 8, 1), np.uint8))
    assert [len(pixels) for pixels in read(tmp_path, spec_of(images="images"))] == [3, 3]


def test_values_from_0_to_1_in_a_window_to_255_are_a_mistake(tmp_path, scans, prepare):
    (tmp_path / "root").mkdir()
    images = np.stack([scans.texture(n, shape=(8, 8)) for n in range(20)]).astype(np.float32)
    np.savez(tmp_path / "root/a.npz", images=images / images.max())
    spec = scans.images_spec(table=None, label=LabelSpec(source="none"), arrays=ArraySpec(images="images"))
    with pytest.raises(UserError, match=r"0 to 1, are hardly a grey in the window from 0 to 255\.\nSet cohort\.window"):
        prepare(spec, tmp_path / "root")
    shown = spec.model_copy(update={"window": WindowSpec(mode="fixed", low=0, high=1)})
    assert prepare(shown, tmp_path / "root").images.pixels.max() == 255


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (np.uint8(200), 200),
        (np.uint16(65535), 255),
        (np.bool_(True), 255),
        (np.float32(0.25), 0.25),
        (np.int16(-3), -3),
    ],
)
def test_whole_depths_fill_0_to_255_and_other_numbers_stay(tmp_path, stored, expected):
    np.savez(tmp_path / "a.npz", images=np.full((1, 8, 8), stored))
    assert read(tmp_path, spec_of(images="images"))[0].max() == np.float32(expected)


def test_the_rows_of_an_hdf5_array_can_be_slices_of_one_scan(tmp_path):
    values = np.random.default_rng(0).random((4, 8, 8), np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["reconstruction_rss"] = values
        file.attrs["patient_id"] = "P7"
    spec = spec_of(images="reconstruction_rss", first_axis="slices", attributes={"patient": "patient_id"})
    (source,) = describe(tmp_path, "a.h5", spec)
    assert (source.path, source.patient) == ("a.h5", "P7")
    found = read_images(tmp_path, source, spec)
    assert np.array_equal(found.pixels[:, 0], values)
    assert [(plane.slice_index, plane.slice_position) for plane in found.planes] == [
        (0, 0.0), (1, pytest.approx(1 / 3)), (2, pytest.approx(2 / 3)), (3, 1.0)
    ]  # fmt: skip


def test_volumes_stay_volumes_on_request(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=values, pictures=values[:, 0])
    spec = spec_of(images="images").model_copy(update={"dimensions": 3, "volume": VolumeSpec(shape=(8, 8, 8))})
    source = describe(tmp_path, "a.npz", spec)[1]
    found = read_images(tmp_path, source, spec)
    assert found.pixels.shape == (1, 1, 8, 8, 8)
    assert np.array_equal(found.pixels[0, 0, 1:7], values[1])
    assert (found.planes[0].spacing_mm, found.planes[0].orientation) == (None, None)
    with pytest.raises(Unreadable, match="not a grey volume"):
        read(tmp_path, spec.model_copy(update={"arrays": ArraySpec(images="pictures")}))
    with pytest.raises(Unreadable, match=r"spacing_mm needs a file that says its spacing"):
        read(tmp_path, spec.model_copy(update={"volume": VolumeSpec(spacing_mm=1.0)}))


@pytest.mark.parametrize(
    ("arrays", "rows", "message"),
    [
        ({"pictures": (2, 8, 8)}, {}, r"no array is called as arrays\.images says"),
        ({"images": (2, 8, 8)}, {"label": "labels"}, r"an array that the settings of arrays name is not there"),
        ({"images": (2, 8, 8), "labels": (3,)}, {"label": "labels"}, "has another length than they"),
        ({"images": (8, 8, 2)}, {}, "neither a grey image nor one of three colours"),
        ({"images": (2, 8, 8, 4)}, {}, "neither a grey image nor one of three colours"),
        ({"images": ((1 << 20) + 1, 1, 5)}, {}, r"more than limits\.images"),
    ],
)
def test_files_that_are_not_what_the_settings_say_are_refused(tmp_path, arrays, rows, message):
    np.savez_compressed(tmp_path / "a.npz", **{name: np.zeros(shape, np.uint8) for name, shape in arrays.items()})
    with pytest.raises(Unreadable, match=message):
        read(tmp_path, spec_of(images="images", rows=rows))
