"""Numbers for people: never NaN, thousands apart, seconds in the unit that suits them."""

from __future__ import annotations

import math

NOTHING = "–"
THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
_LEAST = 1e-300
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def figure(value: float | None, digits: int = 2) -> str:
    """A number with n digits after the point; – for none or NaN, ∞ for what has no bound."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    return f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """A difference with its sign."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return ("+" if value > 0 else "") + figure(value, digits)


def count(value: int) -> str:
    """A whole number, its thousands apart."""
    return f"{value:,}".replace(",", THIN).replace("-", MINUS)


def short(value: float) -> str:
    """A number in as few characters as say it, for ticks and tooltips: 0.05, 1 200, 2·10⁻⁴."""
    if not math.isfinite(value):
        return figure(value)
    if abs(value) < _LEAST:
        return "0"
    power = math.floor(math.log10(abs(value)) + 1e-9)
    if -3 < power < 6:
        text = f"{value:.{max(0, 3 - power)}f}"
        whole, _, rest = text.partition(".")
        rest = rest.rstrip("0")
        return count(int(whole)) + (f".{rest}" if rest else "") if whole != "-0" else f"{MINUS}0.{rest}"
    scaled = f"{value / 10.0**power:.3g}".replace("-", MINUS)
    raised = "10" + str(power).translate(_RAISED)
    return raised if scaled == "1" else f"{scaled}·{raised}"


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours, as one would say them: 0.12 s, 91 s, 3 min 20 s, 2 h 05 min."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def time_unit(longest: float) -> tuple[str, float]:
    """The unit for an axis of times of this length, and the seconds in it."""
    return ("s", 1.0) if longest <= 600 else ("min", 60.0) if longest <= 3 * 3600 else ("h", 3600.0)


def setting(value: object) -> str:
    """The value of a setting, as the command line takes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def counted(number: int, noun: str) -> str:
    """1 view, 2 views."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"
