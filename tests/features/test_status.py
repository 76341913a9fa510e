"""The table of encoders: what is there, and how to get what is not."""

from synthassay.features import vit
from synthassay.features.status import encoder_status
from synthassay.features.weights import PinnedFile, sha256_of

NAMES = {
    "efficientnet-lite0", "fid-inception", "dinov2-vitb14", "dinov2-vitl14", "rad-dino", "clip-vitl14-336",
    "radimagenet-resnet50", "torchxrayvision", "medicalnet-resnet10", "medicalnet-resnet18", "medicalnet-resnet34",
    "medicalnet-resnet50", "domain",
}  # fmt: skip


def test_every_encoder_has_a_row(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHASSAY_CACHE", str(tmp_path))
    rows = {row.encoder: row for row in encoder_status()}
    assert rows.keys() >= NAMES
    assert {name for name, row in rows.items() if row.present} >= {"efficientnet-lite0", "domain"}
    for name in NAMES - {"efficientnet-lite0", "domain"}:
        assert not rows[name].present
        assert "encoder.weights=FILE" in rows[name].detail
        assert str(tmp_path) in rows[name].detail
    assert "https://github.com/BMEII-AI/RadImageNet" in rows["radimagenet-resnet50"].detail
    assert "(346 MB)" in rows["dinov2-vitb14"].detail


def test_a_file_in_the_cache_counts_only_when_it_is_the_right_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHASSAY_CACHE", str(tmp_path))
    file = tmp_path / "w.bin"
    file.write_bytes(b"weights")
    pin = PinnedFile(name="w.bin", url="https://nowhere", sha256=sha256_of(file), size=7)
    monkeypatch.setitem(vit.WEIGHTS, "rad-dino", pin)
    assert next(row for row in encoder_status() if row.encoder == "rad-dino").present
    file.write_bytes(b"damaged")
    assert not next(row for row in encoder_status() if row.encoder == "rad-dino").present
