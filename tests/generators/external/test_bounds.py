"""External sets are untrusted: what a folder and its table may make the reader do has bounds."""

import pytest
from PIL import Image

from synthassay.errors import UserError
from synthassay.generators.external.sets import external_fingerprint
from synthassay.generators.external.specs import ExternalColumns, ExternalSpec
from synthassay.scans.limits import LimitSpec
from synthassay.scans.pool import MEMORY
from tests.generators.external.made_up import TABLE, load, refused, write_pictures


def test_pages_of_a_tiff_are_counted_one_by_one_at_their_own_size(tmp_path):
    write_pictures(tmp_path, 1)
    pages = [Image.new("L", (2, 2)), *(Image.new("L", (8, 8)) for _ in range(3))]
    pages[0].save(tmp_path / "z.tif", save_all=True, append_images=pages[1:])
    assert refused(tmp_path, limits=LimitSpec(voxels=100)).found == "132 values"


def test_a_file_that_the_memory_cannot_hold_is_quarantined(tmp_path):
    write_pictures(tmp_path, 1)
    Image.new("L", (9000, 9000)).save(tmp_path / "z.png")  # 309 MiB in float32
    assert refused(tmp_path, limits=LimitSpec(memory_mib=256)).reason == MEMORY


def test_a_table_lies_in_the_root_or_at_an_absolute_path(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    write_pictures(root, 1)
    (tmp_path / "labels.csv").write_text("path,label\nim0.png,1\n")
    (root / "link.csv").symlink_to(tmp_path / "labels.csv")
    for table in ("../labels.csv", "link.csv", "x/../link.csv"):
        for read in (load, lambda where, spec: external_fingerprint(spec, where)):
            with pytest.raises(UserError, match=r"generator\.table leads out of generator\.root"):
                read(root, ExternalSpec(table=table))
    assert load(root, ExternalSpec(table=str(tmp_path / "labels.csv")))[0].labels.tolist() == [1]


@pytest.mark.parametrize("first", ["im0.png,DOE^JANE", "scan,19620314", "scan,1.5", "scan,7"])
def test_the_first_row_of_a_table_without_header_is_not_repeated(tmp_path, first):
    write_pictures(tmp_path, 1)
    (tmp_path / "labels.csv").write_text(f"{first}\nim0.png,1\n")
    with pytest.raises(UserError, match=r"2 columns, whose first row looks like data; does the table have") as error:
        load(tmp_path, TABLE)
    assert first.split(",")[1] not in str(error.value).replace("2 columns", "")


def test_sites_and_devices_are_short_lines(tmp_path):
    write_pictures(tmp_path, 1)
    (tmp_path / "labels.csv").write_text(f'path,label,site,device\nim0.png,1,"A\x1b[31m\u202eB\nC",{"x" * 90}\n')
    columns = ExternalColumns(site="site", device="device")
    groups = load(tmp_path, ExternalSpec(table="labels.csv", columns=columns))[0].groups
    assert groups["site"].tolist() == ["A [31m B C"]
    assert groups["device"].tolist() == ["x" * 64]
