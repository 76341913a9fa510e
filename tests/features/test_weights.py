"""Weights: nothing unchecked is used, and nothing half-written is left under its final name."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from synthassay.errors import UserError
from synthassay.features import weights
from synthassay.features.weights import (
    PinnedFile,
    cache_folder,
    cached_weights,
    fetch_weights,
    found_weights,
    given_weights,
    read_tensors,
)

CONTENT = bytes(range(256)) * 9000  # more than two blocks


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pinned(tmp_path):
    source = tmp_path / "server" / "weights.pth"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    return PinnedFile(
        name="weights.pth", url=source.as_uri(), sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT)
    )


def served(pinned) -> Path:
    return Path(pinned.url.removeprefix("file://"))


def test_a_download_lands_in_the_cache_and_is_not_repeated(pinned, cache):
    assert cached_weights(pinned) is None
    path = fetch_weights(pinned)
    assert path == cache / "weights.pth"
    assert path.read_bytes() == CONTENT
    served(pinned).unlink()
    assert fetch_weights(pinned) == path
    assert [entry.name for entry in cache.iterdir()] == ["weights.pth"]


def test_a_damaged_cache_is_repaired(pinned, cache):
    cache.mkdir()
    (cache / "weights.pth").write_bytes(CONTENT[:1000])
    assert cached_weights(pinned) is None
    assert fetch_weights(pinned).read_bytes() == CONTENT


@pytest.mark.parametrize("wrong", [CONTENT[:-1], CONTENT + b"x", b"<html>not found</html>", CONTENT[:-1] + b"x"])
def test_a_wrong_download_is_refused_and_removed(pinned, cache, wrong):
    served(pinned).write_bytes(wrong)
    with pytest.raises(UserError) as error:
        fetch_weights(pinned)
    assert f"expected {pinned.sha256}" in str(error.value)
    assert len(str(error.value).splitlines()) <= 3
    assert list(cache.iterdir()) == []


def test_no_more_than_expected_is_read(pinned, cache, monkeypatch):
    served(pinned).write_bytes(CONTENT * 2)
    sizes = []
    replace = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda self, **kw: (sizes.append(self.stat().st_size), replace(self, **kw)))
    with pytest.raises(UserError):
        fetch_weights(pinned)
    assert sizes == [pinned.size + 1]


def test_no_network_ends_in_words(pinned, cache):
    served(pinned).unlink()
    with pytest.raises(UserError) as error:
        fetch_weights(pinned)
    text = str(error.value)
    assert "encoder.weights=FILE" in text
    assert pinned.url in text
    assert len(text.splitlines()) <= 3
    assert list(cache.iterdir()) == []


def test_an_interrupted_transfer_leaves_nothing_behind(pinned, cache, monkeypatch):
    def broken(pinned, stream):
        stream.write(CONTENT[:5000])
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(weights, "_download", broken)
    with pytest.raises(UserError, match="Connection reset"):
        fetch_weights(pinned)
    assert list(cache.iterdir()) == []


def test_a_file_appears_under_its_name_only_when_whole(pinned, cache, monkeypatch):
    """Whatever a process that is killed during the download leaves, it is not under the final name."""
    real = weights._download

    def watched(pinned, stream):
        assert not (cache / pinned.name).exists()
        digest = real(pinned, stream)
        assert not (cache / pinned.name).exists()
        return digest

    monkeypatch.setattr(weights, "_download", watched)
    assert fetch_weights(pinned).exists()


def test_a_cache_that_cannot_be_written_ends_in_words(pinned, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYNTHASSAY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="could not be fetched"):
        fetch_weights(pinned)


def test_an_http_server_that_cuts_the_transfer_short_is_refused(pinned, cache):
    class Short(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:7000])

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Short)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/weights.pth"
    with pytest.raises(UserError):
        fetch_weights(PinnedFile(name="weights.pth", url=url, sha256=pinned.sha256, size=pinned.size))
    thread.join()
    server.server_close()
    assert list(cache.iterdir()) == []


def test_a_given_file_is_used_only_when_it_is_the_right_one(pinned, tmp_path):
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    good.write_bytes(CONTENT)
    bad.write_bytes(b"other")
    assert given_weights(pinned, str(good)) == good
    with pytest.raises(UserError) as error:
        given_weights(pinned, str(bad))
    assert pinned.sha256 in str(error.value)
    assert hashlib.sha256(b"other").hexdigest() in str(error.value)
    with pytest.raises(UserError, match="no such file"):
        given_weights(pinned, str(tmp_path / "absent.pth"))


def test_the_cache_is_in_the_home_folder_unless_said_otherwise(monkeypatch, cache):
    assert cache_folder() == cache
    monkeypatch.delenv("SYNTHASSAY_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "synthassay"


def test_weights_of_ones_own_need_their_digest(pinned, tmp_path):
    own = tmp_path / "own.pth"
    own.write_bytes(b"own")
    digest = hashlib.sha256(b"own").hexdigest()
    assert found_weights(pinned, str(own), digest) == (own, digest)
    with pytest.raises(UserError, match=digest):  # which says what to pin
        found_weights(pinned, str(own))
    with pytest.raises(UserError, match=f"expected {'0' * 64}"):
        found_weights(pinned, str(own), "0" * 64)
    with pytest.raises(UserError, match=r"encoder\.weights=FILE"):
        found_weights(pinned, None, digest)
    assert found_weights(pinned, None) == (cache_folder() / pinned.name, pinned.sha256)


def test_a_file_inside_an_archive_is_never_downloaded(pinned, cache):
    page = replace(pinned, direct=False)
    with pytest.raises(UserError) as error:
        fetch_weights(page)
    assert pinned.url in str(error.value)
    assert str(cache) in str(error.value)
    assert len(str(error.value).splitlines()) <= 3
    cache.mkdir()
    (cache / pinned.name).write_bytes(CONTENT)
    assert fetch_weights(page) == cache / pinned.name


def test_an_unknown_size_is_bounded_and_the_digest_decides(pinned, monkeypatch):
    sizeless = replace(pinned, size=None)
    monkeypatch.setattr(weights, "_LARGEST", 10)
    with pytest.raises(UserError, match="damaged or replaced"):
        fetch_weights(sizeless)
    monkeypatch.undo()
    assert fetch_weights(sizeless).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["safetensors", "new", "old"])
def test_tensors_are_read_from_every_format_whatever_its_name(kind, tmp_path):
    path, tensors = tmp_path / "weights.any", {"a": torch.arange(3.0), "b": torch.ones(2, 2, dtype=torch.float16)}
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind == "new")
    found = read_tensors(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04broken", b"\0" * 8 + b"{not json", b"cos\nsystem\n(S'false'\ntR."]
)
def test_a_file_without_weights_ends_in_words(content, tmp_path):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"w\.pth cannot be read as weights") as error:
        read_tensors(tmp_path / "w.pth")
    assert len(str(error.value).splitlines()) <= 3
