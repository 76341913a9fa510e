"""Names of manufacturers, devices and institutions: the spelling variants of one are one.

Divisions, legal forms and brands of one maker are that maker, also those that it bought and writes into headers under
both names (Lorad is Hologic, Kodak Carestream, Picker and Marconi Philips, Medison Samsung). Toshiba and Canon, and
Hitachi and Fujifilm, stay two, although the one builds the other's successors: their scanners are known under both.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import dropwhile

from synthassay.scans.text import MAX_TEXT, clean

# First words (lower case) of how manufacturers write themselves in headers, and one spelling for each.
MANUFACTURERS = (
    ("siemens", "Siemens"), ("acuson", "Siemens"), ("ge", "GE"), ("gems", "GE"), ("gehc", "GE"),
    ("general electric", "GE"), ("general electrics", "GE"), ("philips", "Philips"), ("marconi", "Philips"),
    ("adac", "Philips"), ("picker", "Philips"), ("toshiba", "Toshiba"), ("canon", "Canon"), ("hitachi", "Hitachi"),
    ("aloka", "Hitachi"), ("fujifilm", "Fujifilm"), ("fuji", "Fujifilm"), ("hologic", "Hologic"), ("lorad", "Hologic"),
    ("carestream", "Carestream"), ("kodak", "Carestream"), ("eastman kodak", "Carestream"), ("agfa", "Agfa"),
    ("konica", "Konica Minolta"), ("konicaminolta", "Konica Minolta"), ("samsung", "Samsung"), ("medison", "Samsung"),
    ("united imaging", "United Imaging"), ("uih", "United Imaging"), ("esaote", "Esaote"), ("mindray", "Mindray"),
    ("shimadzu", "Shimadzu"), ("neusoft", "Neusoft"), ("varian", "Varian"), ("elekta", "Elekta"), ("bruker", "Bruker"),
    ("hyperfine", "Hyperfine"), ("imaging dynamics", "Imaging Dynamics"),
)  # fmt: skip
MAKERS = frozenset(name for _, name in MANUFACTURERS)
SEATS = frozenset({"shanghai", "shenzhen", "shenyang"})  # that makers write before their name
# What follows the name of a maker without being a model; legal forms are left away from names that are not listed too.
LEGAL_FORMS = frozenset({
    "ag", "bv", "co", "company", "corp", "corporation", "gmbh", "inc", "incorporated", "kg", "limited", "llc", "ltd",
    "nv", "oy", "plc", "sa", "spa", "srl",
})  # fmt: skip
DIVISIONS = LEGAL_FORMS | frozenset({
    "medical", "systems", "system", "healthcare", "healthineers", "health", "care", "imaging", "electric", "photo",
    "film", "minolta", "technologies", "electronics", "kodak", "&",
})  # fmt: skip


def manufacturer(value: object) -> str | None:
    """One spelling per manufacturer: ``SIEMENS`` and ``Siemens Healthineers`` are both ``Siemens``."""
    text = clean(value)
    if text is None:
        return None
    words = re.findall(r"[^\W_]+", text.casefold())
    words = words[1:] if words and words[0] in SEATS else words
    joined = re.sub(r"\b(\w) (?=\w\b)", r"\1", " ".join(words))  # G.E. is GE
    for start, name in MANUFACTURERS:
        if f"{joined} ".startswith(f"{start} "):
            return name
    parts = text.split()
    while len(parts) > 1 and _plain(parts[-1]) in LEGAL_FORMS | {"&"}:
        parts.pop()
    parts[-1] = parts[-1].rstrip(",")
    return " ".join(word.title() if len(word) > 3 and word.isupper() else word for word in parts) or None


def _plain(word: str) -> str:
    return re.sub(r"[.,]", "", word.casefold())


def device_name(maker: object, model: object) -> str | None:
    """Manufacturer and model as one text, without saying the manufacturer twice."""
    first, second = manufacturer(maker), clean(model)
    if first is None or second is None:
        return first or second
    own, rest = _maker_and_model(second)
    if own != first:
        rest = second[len(first) :].lstrip() if second.lower().startswith(f"{first.lower()} ") else second
    return " ".join([first, rest])[:MAX_TEXT].rstrip()


def written_device(value: object) -> str | None:
    """A device as a table writes it, its manufacturer in one spelling: ``SIEMENS Trio`` is ``Siemens Trio``."""
    text = clean(value)
    if text is None:
        return None
    maker, model = _maker_and_model(text)
    return device_name(maker, model)


def _maker_and_model(text: str) -> tuple[str | None, str]:
    """The maker that ``text`` begins with, its division left away, and what follows; None where it is not known."""
    words = text.split()
    for count in range(1, len(words) + 1):  # the shortest beginning that is a maker
        maker = manufacturer(" ".join(words[:count]))
        if maker in MAKERS:
            return maker, " ".join(dropwhile(lambda word: _plain(word) in DIVISIONS, words[count:]))
    return None, text


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
