"""What a file carries about a person: kinds of findings, patterns that tell a date or a name. Never a value."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["patient", "people", "dates and times", "UIDs", "private attributes", "places, devices, descriptions",
               "names and dates in text", "names of files", "text in pixels", "said of itself"]  # fmt: skip
KINDS: dict[Kind, str] = {
    "patient": "name, id, birth date and other facts of the patient",
    "people": "names of physicians, operators and others",
    "dates and times": "of examinations and of processing",
    "UIDs": "whether they were replaced cannot be seen",
    "private attributes": "of manufacturers; their content is not documented",
    "places, devices, descriptions": "institutions, serial numbers, free text, references",
    "names and dates in text": "the patient's own name, id or birth date, a name in DICOM's form, or a date",
    "names of files": "a date, or the patient's own name or id",
    "text in pixels": "found by optical character recognition, where it was asked for",
    "said of itself": "what files say about their own de-identification",
}


class Finding(NamedTuple):
    """One thing that a file carries. ``action`` is what the DICOM profile asks, or ``clean``; ``""`` where nothing."""

    kind: Kind
    attribute: str
    action: str = ""


Findings = frozenset[Finding]

YEAR, MONTH, DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
DATE = re.compile(rf"(?<!\d)(?:{YEAR}(?P<s>[-_./]?){MONTH}(?P=s){DAY}|{DAY}(?P<t>[-./]){MONTH}(?P=t){YEAR})(?!\d)")
NAME = re.compile(r"[^\W\d_]{2,}\^[^\W\d_]{2,}")  # Family^Given, as DICOM writes a person's name
LEAST_LETTERS = 3  # of a part of a name that is searched in texts: shorter ones are in every text
LEAST_ID = 5  # characters of an id, for the same reason
# Parts of names that are no person's.
NOBODY = frozenset({
    "anon", "anonymous", "anonymized", "anonymised", "patient", "phantom", "test", "volunteer", "subject", "control",
    "head", "brain", "unknown", "none", "scan", "study", "research", "pilot", "qa", "the", "and", "slice", "timing",
    "regression", "name", "sub", "case", "male", "female", "child", "adult",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class OwnWords:
    """Parts of one person's own name, and whole ids, to be searched in texts. Never shown."""

    words: tuple[str, ...]
    whole: re.Pattern[str]

    def are_in(self, text: str) -> bool:
        """Whether one of the words stands in ``text`` by itself, in any case."""
        folded = text.casefold()
        for word in self.words:  # plain search first: it is many times faster, and nearly always finds nothing
            if word in folded:
                return self.whole.search(folded) is not None
        return False


def own_words(name: str, *ids: str) -> OwnWords | None:
    """What to search for of a person with this name and these ids; None where there is nothing."""
    words = {word for word in re.split(r"[\W_]+", name.casefold()) if len(word) >= LEAST_LETTERS and not word.isdigit()}
    known = {text.casefold().strip() for text in ids}
    known = {text for text in known if len(text) >= LEAST_ID and any(map(str.isdigit, text))}
    chosen = sorted((words - NOBODY) | known, key=lambda word: (-len(word), word))
    if not chosen:
        return None
    return OwnWords(tuple(chosen), re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, chosen))})(?![^\W_])"))


def in_path(path: str, own: OwnWords | None = None) -> Findings:
    """What folders and file name give away."""
    found = set()
    if DATE.search(path):
        found.add(Finding("names of files", "a date", "clean"))
    if NAME.search(path) or (own is not None and own.are_in(path)):
        found.add(Finding("names of files", "a patient's name or id", "clean"))
    return frozenset(found)
