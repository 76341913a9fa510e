"""The digital phantom: a simulated multi-site head MR cohort, written as DICOM with its ground truth beside it."""
