"""The view of a projection image: one word for each, whichever way a header or a table writes it."""

import re

from synthassay.scans.text import clean

# CR, DX and tables of chest X-rays (the first four codes are DICOM's own defined terms of View Position).
LATERALS = frozenset({"LL", "RL", "LAT", "LATERAL", "LEFT LATERAL", "RIGHT LATERAL", "LLAT", "RLAT", "L LATERAL",
                      "R LATERAL", "LATERAL LEFT", "LATERAL RIGHT", "LAT L", "LAT R"})  # fmt: skip
FRONTALS = {"PA": "PA", "POSTEROANTERIOR": "PA", "POSTERO ANTERIOR": "PA", "AP": "AP", "ANTEROPOSTERIOR": "AP",
            "ANTERO POSTERIOR": "AP", "AP SUPINE": "AP", "AP PORTABLE": "AP", "PORTABLE AP": "AP", "FRONTAL": "FRONTAL",
            "FRONTAL PA": "PA", "FRONTAL AP": "AP", "PA CHEST": "PA", "AP CHEST": "AP", "CHEST PA": "PA",
            "CHEST AP": "AP"}  # fmt: skip
BREAST = ("MLO", "CC", "ML", "LM", "LMO", "SIO", "ISO", "XCCL", "XCCM", "XCC", "FB")
BREAST_WORDS = {"CRANIOCAUDAL": "CC", "CRANIO CAUDAL": "CC", "MEDIOLATERAL OBLIQUE": "MLO",
                "MEDIO LATERAL OBLIQUE": "MLO", "MEDIOLATERAL": "ML", "LATEROMEDIAL": "LM"}  # fmt: skip
SIDES = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R", "B": "B", "BOTH": "B", "BILATERAL": "B"}
# View Code Sequence: SNOMED CT of today and SNOMED RT of older files (PS3.16, CID 4010 and CID 4014).
CODES = {
    "399348003": "AP", "R-10206": "AP", "272479007": "PA", "R-10214": "PA", "399173006": "LATERAL",
    "R-10236": "LATERAL", "399198007": "LATERAL", "R-10232": "LATERAL", "399162004": "CC", "R-10242": "CC",
    "399368009": "MLO", "R-10226": "MLO", "399260004": "ML", "R-10224": "ML", "399352003": "LM", "R-10228": "LM",
}  # fmt: skip


def view_of(written: object, side: object = None, code: object = None) -> str | None:
    """``PA``, ``AP``, ``FRONTAL``, ``LATERAL``, or a breast's view with its side (``MLO L``); other texts stay.

    ``code`` is the value of the View Code Sequence and counts where nothing is written. None where nothing is known:
    neither a view nor a side is guessed.
    """
    text = clean(written) or CODES.get(clean(code) or "")
    if text is None:
        return None
    words = " ".join(re.split(r"[\W_]+", text.upper())).strip()
    if words in LATERALS:
        return "LATERAL"
    if words in FRONTALS:
        return FRONTALS[words]
    return _breast(words, SIDES.get((clean(side) or "").upper())) or text


def _breast(words: str, side: str | None) -> str | None:
    """A breast's view and its side, which may be written before or after it or together with it (``LMLO``)."""
    parts = words.split()
    for index in (0, -1):
        if len(parts) > 1 and parts[index] in SIDES:
            side = SIDES[parts.pop(index)]
            break
    joined = " ".join(parts)
    view = BREAST_WORDS.get(joined, joined)
    if view not in BREAST and view[:1] in SIDES and view[1:] in BREAST:
        side, view = view[0], view[1:]
    if view not in BREAST:
        return None
    return f"{view} {side}" if side else view
