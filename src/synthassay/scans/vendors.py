"""Names of manufacturers, devices and institutions: the spelling variants of one are one.

Makers that were bought keep the name they wrote: Toshiba's scanners stay Toshiba, although Canon builds their
successors, since a device is what made the image. Divisions and legal forms of one maker are that maker.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from synthassay.scans.text import MAX_TEXT, clean

# First words (lower case) of how manufacturers write themselves in headers, and one spelling for each.
MANUFACTURERS = (
    ("siemens", "Siemens"), ("acuson", "Siemens"), ("ge medical", "GE"), ("ge healthcare", "GE"), ("gems", "GE"),
    ("ge", "GE"), ("general electric", "GE"), ("ge vingmed", "GE"), ("gehc", "GE"), ("philips", "Philips"),
    ("marconi", "Philips"), ("adac", "Philips"), ("picker", "Philips"), ("toshiba", "Toshiba"), ("canon", "Canon"),
    ("hitachi", "Hitachi"), ("aloka", "Hitachi"), ("fujifilm", "Fujifilm"), ("fuji photo", "Fujifilm"),
    ("fuji film", "Fujifilm"), ("hologic", "Hologic"), ("lorad", "Hologic"), ("carestream", "Carestream"),
    ("kodak", "Carestream"), ("eastman kodak", "Carestream"), ("agfa", "Agfa"), ("konica", "Konica Minolta"),
    ("samsung", "Samsung"), ("medison", "Samsung"), ("united imaging", "United Imaging"), ("uih", "United Imaging"),
    ("esaote", "Esaote"), ("mindray", "Mindray"), ("shimadzu", "Shimadzu"), ("neusoft", "Neusoft"),
    ("varian", "Varian"), ("elekta", "Elekta"), ("bruker", "Bruker"), ("hyperfine", "Hyperfine"),
)  # fmt: skip
MAKERS = frozenset(name for _, name in MANUFACTURERS)
# What follows the name of a maker without being a model.
DIVISIONS = frozenset({
    "medical", "systems", "system", "healthcare", "healthineers", "health", "care", "gmbh", "ag", "inc", "co", "ltd",
    "corporation", "corp", "imaging", "electric", "photo", "film", "minolta", "technologies", "electronics", "kodak",
    "&",
})  # fmt: skip


def manufacturer(value: object) -> str | None:
    """One spelling per manufacturer: ``SIEMENS`` and ``Siemens Healthineers`` are both ``Siemens``."""
    text = clean(value)
    if text is None:
        return None
    words = " ".join(re.findall(r"[^\W_]+", text.casefold())) + " "
    for start, name in MANUFACTURERS:
        if words.startswith(start + " "):
            return name
    return " ".join(word.title() if len(word) > 3 and word.isupper() else word for word in text.split())


def device_name(maker: object, model: object) -> str | None:
    """Manufacturer and model as one text, without saying the manufacturer twice."""
    first, second = manufacturer(maker), clean(model)
    if first is None or second is None:
        return first or second
    known = second.casefold().startswith(first.casefold() + " ")
    return second[:MAX_TEXT] if known else f"{first} {second}"[:MAX_TEXT].rstrip()


def written_device(value: object) -> str | None:
    """A device as a table writes it, its manufacturer in one spelling: ``SIEMENS Trio`` is ``Siemens Trio``."""
    text = clean(value)
    if text is None:
        return None
    words = text.split()
    for count in range(len(words), 0, -1):  # the longest beginning that is a maker and its division
        maker = manufacturer(" ".join(words[:count]))
        divisions = all(word.casefold().strip(".,") in DIVISIONS for word in words[1:count])
        if maker in MAKERS and divisions:
            return device_name(maker, " ".join(words[count:]))
    return text


def spelling_key(name: str) -> str:
    """What the spelling variants of one name share: its letters and digits, without case, accents kept."""
    return "".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", name).casefold())) or name


def one_spelling(names: Iterable[str], asked: Mapping[str, str] | None = None) -> dict[str, str]:
    """One spelling for each of ``names``, which repeat as often as they occur.

    Names that differ in case, blanks and punctuation only become the most frequent of them (of equals the first in
    sorted order); then ``asked`` (from, to) applies, whichever spelling it uses.
    """
    counts = Counter(names)
    variants: dict[str, list[str]] = {}
    for name in counts:
        variants.setdefault(spelling_key(name), []).append(name)
    chosen = {key: min(spellings, key=lambda name: (-counts[name], name)) for key, spellings in variants.items()}
    for start, end in (asked or {}).items():
        if spelling_key(start) in variants:
            chosen[spelling_key(start)] = end
    return {name: chosen[key] for key, spellings in variants.items() for name in spellings}
