import pytest
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEG2000, ExplicitVRBigEndian, JPEGExtended12Bit, JPEGLosslessSV1, RLELossless

from synthassay.scans.dicom import decoders
from synthassay.scans.dicom.decoders import CANDIDATES, NO_DECODER, TWELVE_BITS, decoder_of, decoder_table
from synthassay.scans.unreadable import Unreadable


def test_one_decoder_is_chosen_for_each_syntax():
    assert decoder_of(ExplicitVRBigEndian) == ""
    for syntax, candidates in CANDIDATES.items():
        assert decoder_of(syntax) in candidates
        assert decoder_of(syntax) in get_decoder(syntax).available_plugins


def test_a_missing_decoder_is_named(monkeypatch):
    monkeypatch.setitem(CANDIDATES, JPEGLosslessSV1, ())
    with pytest.raises(Unreadable) as caught:
        decoder_of(JPEGLosslessSV1)
    assert (caught.value.found, caught.value.reason) == (JPEGLosslessSV1.name, NO_DECODER)
    assert ("JPEG lossless", "", "") in decoder_table()


def test_twelve_bits_of_jpeg_extended_have_decoders_of_their_own(monkeypatch):
    assert decoder_of(JPEGExtended12Bit, 8) not in TWELVE_BITS
    assert decoder_of(JPEGExtended12Bit, 12) in TWELVE_BITS
    monkeypatch.setattr(decoders, "TWELVE_BITS", ())
    with pytest.raises(Unreadable, match="no decoder"):
        decoder_of(JPEGExtended12Bit, 12)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.102", "1.3.46.670589.33.1.4.1", "", "1.2"])
def test_videos_and_unknown_syntaxes_are_refused(syntax):
    with pytest.raises(Unreadable, match="no decoder"):
        decoder_of(syntax)


def test_the_table_says_what_reads_what():
    table = {name: plugin for name, plugin, _ in decoder_table()}
    assert (table["RLE"], table["JPEG 2000"]) == (decoder_of(RLELossless), decoder_of(JPEG2000))
    assert table["deflated"] == "zlib"
