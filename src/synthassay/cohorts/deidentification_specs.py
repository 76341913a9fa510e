"""Settings of the search for text in pixels; the check of headers has none."""

from typing import Literal

from pydantic import Field

from synthassay.specs import Spec


class DeidentificationSpec(Spec):
    """What is asked of the pixels, beyond the check of all headers.

    ``ocr`` looks for text burnt into the images, in ``images_per_file`` evenly spaced images of each file.
    """

    kind: Literal["deidentification"] = "deidentification"
    ocr: bool = False
    images_per_file: int = Field(default=3, ge=1)
