"""What an image is, where it is no plain scan: a picture of a screen, a derived image, or a detector's raw values."""

from typing import Literal

Nature = Literal["secondary_capture", "derived", "for_processing"]
# Where DICOM says it.
FIELDS: dict[Nature, str] = {
    "secondary_capture": "SOPClassUID", "derived": "ImageType", "for_processing": "PresentationIntentType",
}  # fmt: skip
# What a cohort that mixes them with others should be told. (To mix derived images with others is common.)
TOLD: dict[Nature, str] = {
    "secondary_capture": "secondary captures (pictures of a screen, reports of dose), which often have text in them",
    "for_processing": "a detector's values for processing, which look unlike those for presentation",
}
