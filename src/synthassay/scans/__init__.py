"""Files ↔ arrays: DICOM, NIfTI, pictures and array files, read with the facts that they carry, and written."""
