"""Numbers as a person would quote them: a sensible unit, and no more digits than the error allows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "UNKNOWN", "error_text", "gain_text", "number_text", "probability_text", "share_text",
    "spread_digits", "time_text", "time_with_spread",
]  # fmt: skip

UNKNOWN = "unknown"

_UNITS = (("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1.0))

#: Half width of a 90 % interval in standard deviations of a normal distribution.
Z90 = 1.645


def number_text(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits, without an exponent where it can be read."""
    if not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    rounded = float(f"{value:.{max(digits, 1) - 1}e}")
    size = math.floor(math.log10(abs(rounded)))
    if not -5 <= size <= 9:
        return f"{rounded:.{max(digits, 1) - 1}e}"
    return f"{rounded:.{max(0, digits - 1 - size)}f}"


def _unit(size: float) -> tuple[str, float]:
    for unit, scale in _UNITS:
        if size >= scale:
            return unit, scale
    return _UNITS[-1]


def time_text(ns: float, digits: int = 3) -> str:
    """Write a time given in ns with the unit a person would use."""
    if not math.isfinite(ns):
        return UNKNOWN
    if ns == 0:
        return "0"
    # Rounding may lift a value over the next unit: 999.9 us is 1.00 ms.
    rounded = float(f"{ns:.{max(digits, 1) - 1}e}")
    if abs(rounded) < 0.1:
        return ("-" if rounded < 0 else "") + "<0.1 ns"
    unit, scale = _unit(abs(rounded))
    return f"{number_text(rounded / scale, digits)} {unit}"


def spread_digits(draws: NDArray[np.float64]) -> int:
    """Return how many digits of the first element the spread of the rest supports: 2 or 3."""
    values = np.asarray(draws, dtype=float).reshape(-1)
    known = values[np.isfinite(values)]
    if known.size < 3 or values[0] == 0:
        return 3
    low, high = np.quantile(known, [0.05, 0.95])
    return 3 if (high - low) / 2 < 0.05 * abs(values[0]) else 2


def time_with_spread(draws: NDArray[np.float64]) -> str:
    """Write the estimate, which is the first draw, with the digits that the draws support."""
    values = np.asarray(draws, dtype=float).reshape(-1)
    return time_text(float(values[0]), spread_digits(values))


def gain_text(estimate: float, low: float, high: float) -> str:
    """Write a signed time and its interval in one unit: ``+1.43 us [1.26, 1.69]``.

    Of the interval's half width two digits are kept if it begins with 1 or 2, else one.
    """
    if not math.isfinite(estimate):
        return UNKNOWN
    width = (high - low) / 2
    if not width > 0:
        sign = "+" if estimate > 0 else ""
        return sign + time_text(estimate)
    unit, scale = _unit(max(abs(estimate), abs(low), abs(high)))
    size = math.floor(math.log10(width / scale))
    decimals = max(0, (1 if width / scale < 3 * 10.0**size else 0) - size)

    def put(value: float) -> str:
        text = f"{value / scale:.{decimals}f}"
        # The sign is the answer: a gain must not be rounded to nothing.
        return text if float(text) or not value else f"{value / scale:.1g}"

    sign = "+" if estimate > 0 else ""
    return f"{sign}{put(estimate)} {unit} [{put(low)}, {put(high)}]"


def share_text(share: float) -> str:
    """Write a share in per cent, two digits."""
    if not math.isfinite(share):
        return UNKNOWN
    if 0 < abs(share) < 1e-5:
        return "<0.001%"
    return f"{number_text(100 * share, 3 if 0.1 <= abs(share) < 1 else 2)}%"


def probability_text(p: float, draws: int) -> str:
    """Write a share of the draws; certainty is only as good as their number."""
    if not math.isfinite(p):
        return "n/a"
    if draws < 20:
        return "n/a"
    edge = max(1.0 / draws, 0.01)
    if p < edge:
        return f"<{edge:.2g}"
    if p > 1 - edge:
        return f">{1 - edge:.2g}"
    return f"{p:.2f}"


def error_text(error: float) -> str:
    """Write a relative error in per cent, one decimal below 10 %; unknown is said."""
    if not math.isfinite(error):
        return "not predicted"
    size = 100 * abs(error)
    return f"{100 * error:.1f}%" if size < 10 else f"{100 * error:.0f}%"
