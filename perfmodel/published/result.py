"""What a comparison with a published pair is: hit, miss, or nothing to say, with the reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from perfmodel.published.figures import Pair
from perfmodel.results import LEVEL

__all__ = ["SCHEMA", "TOLERANCE", "Comparison", "PairResult", "PublishedTable"]

SCHEMA = "perfmodel.published-comparison/1"

#: What a published number, quoted without an error, may itself be off by [assumed].
TOLERANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """One published number and the model's.

    Parameters
    ----------
    pair : str
    what : str
    unit : str
        ``ns``, ``1/s``, ``1`` for a ratio.
    published, predicted, low, high : float
        The interval is that of the profile's constants.
    profile : str
        Whose constants were used.
    inputs : str
        Which published numbers of the same source went in.
    """

    pair: str
    what: str
    unit: str
    published: float
    predicted: float
    low: float
    high: float
    profile: str
    inputs: str = ""

    @property
    def known(self) -> bool:
        """Whether the profile has every constant that the prediction needs."""
        return math.isfinite(self.predicted)

    @property
    def hit(self) -> bool:
        """Whether the published number lies within the interval, widened by `TOLERANCE`."""
        low, high = self.low / (1 + TOLERANCE), self.high * (1 + TOLERANCE)
        return bool(low <= self.published <= high)

    @property
    def ratio(self) -> float:
        """Predicted over published."""
        return self.predicted / self.published

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""
        numbers = {n: getattr(self, n) for n in
                   ("published", "predicted", "low", "high", "ratio")}  # fmt: skip
        return {
            "known": self.known, "pair": self.pair, "what": self.what, "unit": self.unit,
            **{n: float(f"{v:.6g}") if math.isfinite(v) else None for n, v in numbers.items()},
            "hit": self.hit, "profile": self.profile, "inputs": self.inputs,
        }  # fmt: skip


@dataclass(frozen=True)
class PairResult:
    """What the model says to one pair.

    Parameters
    ----------
    pair : Pair
        As published.
    comparisons : tuple of Comparison
        Empty where the model cannot speak.
    silent : str
        Why it cannot; empty where it can.
    note : str
        What the comparison rests on, or why it misses.
    """

    pair: Pair
    comparisons: tuple[Comparison, ...] = ()
    silent: str = ""
    note: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """All pairs beside the model.

    Parameters
    ----------
    results : tuple of PairResult
    file, sha256 : str
        Of the published figures.
    """

    results: tuple[PairResult, ...]
    file: str
    sha256: str

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every comparison of every pair."""
        return tuple(c for r in self.results for c in r.comparisons)

    @property
    def hits(self) -> int:
        """How many published numbers lie within their interval."""
        return sum(c.hit for c in self.comparisons)

    @property
    def unknown(self) -> int:
        """How many are not predicted because a profile lacks a constant."""
        return sum(not c.known for c in self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""
        return {
            "schema": SCHEMA,
            "published": {"file": self.file, "sha256": self.sha256},
            "level": LEVEL,
            "compared": len(self.comparisons),
            "hits": self.hits,
            "pairs": [
                {
                    "pair": r.pair.id,
                    **{n: getattr(r.pair, n) for n in
                       ("what", "tests", "machine", "kernel", "source", "evidence", "basis")},
                    "silent": r.silent or None, "note": r.note or None,
                    "comparisons": [c.to_dict() for c in r.comparisons],
                }
                for r in self.results
            ],
        }  # fmt: skip
