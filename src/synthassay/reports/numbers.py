"""Numbers as a reader wants them: few digits, one precision within an interval, a true minus sign."""

import math

ABSENT = "–"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def decimals_for(value: float, low: float | None = None, high: float | None = None) -> int:
    """Decimals that show two digits of the interval's half width, or three digits of a value without interval."""
    scale, digits = abs(value), 3
    if low is not None and high is not None and high > low:
        scale, digits = (high - low) / 2, 2
    if scale <= 0 or not math.isfinite(scale):
        return 2
    return max(0, min(6, digits - 1 - math.floor(math.log10(scale))))


def number(value: float | None, decimals: int | None = None) -> str:
    """``value`` with ``decimals`` (three significant digits when None), ``"–"`` when absent.

    Below 0.0001 it is written with a power of ten, unless ``decimals`` shows it.
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    if decimals is None:
        if value != 0 and abs(value) < 1e-4:
            mantissa, exponent = f"{value:.1e}".split("e")
            return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}".replace("-", "−")
        decimals = decimals_for(value)
    text = f"{value:,.{decimals}f}"
    if text.startswith("-") and not text.strip("-0.,"):
        text = text[1:]  # no minus sign before a rounded zero
    return text.replace("-", "−")


def tick(value: float) -> str:
    """A number on an axis, without digits that say nothing: ``"0.001"``, ``"1,000"``, ``"10⁻⁵"``."""
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e5):
        exponent = math.floor(math.log10(abs(value)) + 1e-9)
        factor = value / 10.0**exponent
        shown = "" if abs(factor - 1) < 1e-6 else "−" if abs(factor + 1) < 1e-6 else f"{factor:.3g} × "
        return f"{shown}10{str(exponent).translate(_SUPERSCRIPTS)}"
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def interval(low: float | None, high: float | None, decimals: int | None = None) -> str:
    """``"0.010 to 0.014"``, or ``"–"`` when either end is absent."""
    if low is None or high is None:
        return ABSENT
    if decimals is None:
        decimals = decimals_for(low, low, high)
    return f"{number(low, decimals)} to {number(high, decimals)}"


def count(value: int) -> str:
    """An integer with thousands separators."""
    return f"{value:,}"


def times(ratio: float) -> str:
    """A ratio in words: ``"3.1 times"``; two significant digits."""
    return f"{number(ratio, 1 if ratio < 10 else 0)} times"


def plural(n: int, noun: str) -> str:
    """``"1 patient"``, ``"12 patients"``."""
    forms = noun if n == 1 else (noun[:-1] + "ies" if noun.endswith("y") else noun + "s")
    return f"{n:,} {forms}"


def duration(seconds: float) -> str:
    """``"0.4 s"``, ``"38 s"``, ``"2 min 05 s"``, ``"1 h 12 min"``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def megabytes(value: float | None) -> str:
    """``"812 MB"`` or ``"3.4 GB"``; ``"–"`` when absent."""
    if value is None:
        return ABSENT
    return f"{value:,.0f} MB" if value < 1000 else f"{value / 1000:,.1f} GB"


def listing(words: list[str], joiner: str = "and") -> str:
    """``"a"``, ``"a and b"``, ``"a, b and c"``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {joiner} {words[-1]}"
