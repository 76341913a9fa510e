import gzip

import nibabel as nib
import numpy as np
import pytest

from synthassay.scans.nifti.identity import header_findings
from synthassay.scans.unreadable import Unreadable


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_text_fields_and_extensions_are_read_in_both_versions_and_byte_orders(kind, order):
    image = kind(np.zeros((2, 2, 2), np.float32), np.eye(4), kind.header_class(endianness=order))
    assert not header_findings(image.to_bytes())
    image.header["descrip"] = b"seen 2020-01-10"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("afni", b"x" * 40))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Doe, Jane"))
    found = {finding.attribute for finding in header_findings(gzip.compress(image.to_bytes()))}
    assert found == {"NIfTI descrip: a date", "NIfTI extension with a comment"}


def test_what_is_no_header_is_refused_as_anywhere():
    with pytest.raises(Unreadable):
        header_findings(b"x" * 600)
    with pytest.raises(Unreadable):
        header_findings(gzip.compress(b"x" * 600)[:20])
