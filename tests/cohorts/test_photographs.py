import numpy as np
import pytest
from PIL import Image

from synthassay.cohorts.photographs import describe, read_images
from synthassay.cohorts.specs import LabelSpec
from synthassay.scans.unreadable import Unreadable


@pytest.fixture
def read(tmp_path, scans):
    def through(name: str, **changes):
        spec = scans.images_spec(size=20).model_copy(update=changes)
        return read_images(tmp_path, describe(name, spec, ())[0], spec).pixels

    return through


def test_colour_and_grey_files_give_the_channels_asked_for(tmp_path, scans, read):
    pixels = scans.texture(1, shape=(20, 20, 3), top=256).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rgb.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.tif")
    assert np.array_equal(read("rgb.png")[0], np.moveaxis(pixels, 2, 0))
    assert read("rgb.png", channels=1).shape == (1, 1, 20, 20)
    assert np.array_equal(read("grey.tif", channels=1)[0, 0], pixels[..., 0])
    assert read("grey.tif").shape == (1, 3, 20, 20)


def test_sixteen_bit_files_are_brought_to_the_range_of_eight(tmp_path, read):
    ramp = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    for name in ("a.png", "a.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        got = read(name, channels=1)[0, 0]
        assert np.allclose(got, ramp / 257, atol=1e-3)
        assert len(np.unique(got)) == 400


def test_transparency_and_palettes_become_colours(tmp_path, read):
    colour = Image.new("RGBA", (20, 20), (10, 20, 30, 40))
    colour.save(tmp_path / "a.png")
    colour.convert("RGB").quantize(4).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        assert read(name)[0, :, 0, 0].tolist() == [10, 20, 30]


def test_every_page_of_a_tiff_is_an_image_and_a_slice(tmp_path, scans, read):
    pages = [Image.new("L", (20, 20), value) for value in (1, 2, 3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert read("a.tif", channels=1)[:, 0, 0, 0].tolist() == [1, 2, 3]
    spec = scans.images_spec(size=20)
    planes = read_images(tmp_path, describe("a.tif", spec, ())[0], spec).planes
    assert [(plane.slice_index, plane.slice_position) for plane in planes] == [(0, 0.0), (1, 0.5), (2, 1.0)]


def test_cameras_orientation_is_applied(tmp_path, read):
    image = Image.new("L", (20, 20))
    image.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "a.png", exif=exif)
    assert read("a.png", channels=1)[0, 0, 19, 19] == 255


def test_damaged_renamed_and_huge_files_are_refused(tmp_path, scans, read):
    Image.fromarray(scans.texture(1, shape=(64, 64), top=256).astype(np.uint8)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:900])
    (tmp_path / "text.jpg").write_text("not an image")
    Image.new("L", (20, 20)).save(tmp_path / "gif.png", format="GIF")
    for name in ("cut.png", "text.jpg", "gif.png"):
        with pytest.raises(Unreadable, match="truncated or damaged"):
            read(name)
    Image.new("L", (20, 20)).save(tmp_path / "big.png")
    limits = scans.images_spec().limits.model_copy(update={"voxels": 399})
    with pytest.raises(Unreadable, match=r"limits\.voxels"):
        read("big.png", limits=limits)
    page = Image.new("L", (10, 10))
    page.save(tmp_path / "big.tif", save_all=True, append_images=[Image.new("L", (20, 20))])
    with pytest.raises(Unreadable, match=r"limits\.voxels"):  # the first of its two pages is small
        read("big.tif", limits=limits)
    with pytest.raises(Unreadable, match="not a PNG"):
        describe("notes.txt", scans.images_spec(), ())
    with pytest.raises(Unreadable, match="not a volume"):
        describe("a.png", scans.images_spec(dimensions=3), ())


def test_a_mask_beside_an_image_is_counted_and_must_fit(tmp_path, scans):
    label = LabelSpec(source="mask", name="tumour", mask="{folder}/{name}_mask.tif")
    spec = scans.images_spec(size=20, label=label, table=None)
    Image.fromarray(scans.texture(1, shape=(20, 20, 3), top=256).astype(np.uint8)).save(tmp_path / "a.tif")
    mask = Image.new("L", (20, 20))
    mask.paste(255, (2, 2, 6, 7))
    mask.save(tmp_path / "a_mask.tif")
    source, belonging = describe("a.tif", spec, {"a.tif", "a_mask.tif"})
    assert belonging == ("a_mask.tif",)
    assert read_images(tmp_path, source, spec).planes[0].mask_pixels == 20
    with pytest.raises(Unreadable, match="no mask at the place"):
        describe("b.tif", spec, {"a_mask.tif"})
    Image.new("L", (19, 20)).save(tmp_path / "a_mask.tif")
    with pytest.raises(Unreadable, match="mask and image differ in size"):
        read_images(tmp_path, source, spec)
    (tmp_path / "a_mask.tif").write_text("no image")
    with pytest.raises(Unreadable, match=r"the mask cannot be used: .*truncated or damaged"):
        read_images(tmp_path, source, spec)


def test_masks_among_the_pictures_are_told(image_tree, scans, prepare):
    root = image_tree(10)
    for number in range(20):
        shape = scans.texture(number, shape=(24, 30)) > 100
        Image.fromarray(shape).save(root / f"png/{number:03d}_mask.png")
    spec = scans.images_spec(table=None, label=LabelSpec(source="none"))
    notes = prepare(spec, root).notes
    assert any(note.startswith("20 of 40 files have hardly any different values.") for note in notes)
