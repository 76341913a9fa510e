"""DICOM files: what the header says, pixels in rescaled units, series and their geometry."""
