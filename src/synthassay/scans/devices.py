"""What made an image: the facts of its scanner, and one text for the device that they describe."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synthassay.scans.text import MAX_TEXT, clean
from synthassay.scans.vendors import device_name

DevicePart = Literal["manufacturer", "model", "software", "field_strength", "kvp", "kernel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """As written in a header or sidecar, cleaned; None where it does not say. ``kvp`` is in kilovolts."""

    manufacturer: str | None = None
    model: str | None = None
    software: str | None = None
    field_strength_t: float | None = None
    kvp: float | None = None
    kernel: str | None = None


NO_FACTS = DeviceFacts()


def device_of(facts: DeviceFacts, parts: Sequence[DevicePart]) -> str | None:
    """The device as one text of the ``parts`` that are known: ``Siemens Skyra, 3 T``. None where none is.

    Manufacturer and model come first; of what follows, missing parts are left out, never guessed.
    """
    name = device_name(
        facts.manufacturer if "manufacturer" in parts else None, facts.model if "model" in parts else None
    )
    texts = {
        "software": facts.software, "kernel": facts.kernel,
        "field_strength": None if facts.field_strength_t is None else f"{facts.field_strength_t:.3g} T",
        "kvp": None if facts.kvp is None else f"{facts.kvp:.3g} kVp",
    }  # fmt: skip
    shown = [name, *(texts[part] for part in parts if part in texts)]
    return ", ".join(text for text in shown if text)[:MAX_TEXT].rstrip() or None


def sidecar_device(facts: Mapping[str, Any]) -> DeviceFacts:
    """The facts that a BIDS sidecar tells; its keys are DICOM's, but for the model's name."""
    software = facts.get("SoftwareVersions")
    return DeviceFacts(
        manufacturer=clean(facts.get("Manufacturer")), kernel=clean(facts.get("ConvolutionKernel")),
        model=clean(facts.get("ManufacturersModelName") or facts.get("ManufacturerModelName")),
        software=clean(software[0] if isinstance(software, list) and software else software),
        field_strength_t=positive(facts.get("MagneticFieldStrength")), kvp=positive(facts.get("KVP")),
    )  # fmt: skip


def positive(value: object) -> float | None:
    """A number above 0, or None: scanners write 0 for what does not apply."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
