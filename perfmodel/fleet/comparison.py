"""What a fleet answers: one row a profile, ranked by gain among those of the same evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from perfmodel.fleet.profiles import Damaged
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    from perfmodel.scenario import Scenario

__all__ = ["EVIDENCE", "Comparison", "Crossing", "Gain", "Row", "ranked"]

SCHEMA = "perfmodel.comparison/1"

#: What profiles rest on, in the order in which they are shown: never in one ranking.
EVIDENCE = {
    "measured": "measured on the machine", "published": "composite of published figures",
    "emulated": "measured in an emulated guest: no hardware",
}  # fmt: skip


@dataclass(frozen=True)
class Gain:
    """Thread time that a policy saves a call against no downgrade.

    Parameters
    ----------
    policy : str
    estimate, low, high : float, ns
        And its 90 % interval over the draws; NaN where unknown.
    p_pays : float
        Share of the draws in which it gains; NaN for the policy without a downgrade.
    """

    policy: str
    estimate: float
    low: float
    high: float
    p_pays: float


@dataclass(frozen=True)
class Crossing:
    """A value of the swept parameter at which the net gain changes sign.

    Parameters
    ----------
    value, low, high : float
        Estimate and 90 % interval, in the parameter's unit; an end is NaN where it lies beyond the
        values tried.
    pays : {"above", "below"}
        On which side the cut gains.
    """

    value: float
    low: float
    high: float
    pays: str


@dataclass(frozen=True)
class Row:
    """The answer for one profile.

    Parameters
    ----------
    name, source, sha256, evidence : str
        Who it is, where it was read, and what it rests on.
    verdict, verdict_if_safe : str
        As of :class:`perfmodel.verdict.Verdict`.
    cut : Gain
        The cut that was judged: the one with the largest net gain.
    share_of_thread_time : float
    best_safe : Gain
        The policy with the largest net gain that is safe.
    inside_stated_region : bool
        Whether the closed form's stated error was checked at the judged cut.
    turns : {"", "always", "never", "turns", "unknown"}
        Over the values of the swept parameter; empty where none is swept.
    crossings : tuple of Crossing
    why : str
        Why there is no answer, where there is none.
    rank : int
        Among the profiles of its evidence, 1 the largest gain; 0 where there is no answer.
    """

    name: str
    source: str
    sha256: str
    evidence: str
    verdict: str
    verdict_if_safe: str
    cut: Gain
    share_of_thread_time: float
    best_safe: Gain
    inside_stated_region: bool
    turns: str = ""
    crossings: tuple[Crossing, ...] = ()
    why: str = ""
    rank: int = 0

    def cells(self, over: str | None) -> dict[str, Any]:
        """Return the columns of :mod:`perfmodel.fleet.table`; None where unknown."""
        cut, safe = self.cut, self.best_safe
        return {
            "source": self.source, "rank": self.rank or None, "verdict": self.verdict,
            "verdict_if_safe": self.verdict_if_safe, "policy": cut.policy,
            "net_gain": _known(cut.estimate), "net_gain_low": _known(cut.low),
            "net_gain_high": _known(cut.high), "p_pays": _known(cut.p_pays),
            "share_of_thread_time": _known(self.share_of_thread_time),
            "inside_stated_region": self.inside_stated_region, "best_safe_policy": safe.policy,
            "best_safe_gain": _known(safe.estimate), "best_safe_gain_low": _known(safe.low),
            "best_safe_gain_high": _known(safe.high), "best_safe_p": _known(safe.p_pays),
            "over": over, "turns": self.turns or None,
            "crossings": [{k: _known(v) if isinstance(v, float) else v for k, v in asdict(c).items()}
                          for c in self.crossings] if over else None,
            "why": self.why or None,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Comparison:
    """The answers of a fleet.

    Parameters
    ----------
    scenario : Scenario
        What was asked; its machine is none of the fleet's in particular.
    rows : tuple of Row
        By evidence, then by rank; those without an answer last.
    damaged : tuple of Damaged
        What was to be a profile and is none.
    repeated : int
        Profiles that were given more than once, and count once.
    draws : int
    over, unit : str
        The swept parameter and its unit; empty where none is swept.
    span : tuple of float
        First and last value, and how many.
    """

    scenario: Scenario
    rows: tuple[Row, ...]
    damaged: tuple[Damaged, ...] = ()
    repeated: int = 0
    draws: int = 1
    over: str = ""
    unit: str = ""
    span: tuple[float, float, int] = (math.nan, math.nan, 0)

    def of(self, evidence: str) -> tuple[Row, ...]:
        """Return the rows of one evidence, in their ranking."""
        return tuple(r for r in self.rows if r.evidence == evidence)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""
        scenario = self.scenario.to_dict()
        scenario.pop("machine", None)
        return {
            "schema": SCHEMA, "scenario": scenario, "draws": self.draws, "level": LEVEL,
            "over": {"parameter": self.over, "unit": self.unit, "first": self.span[0],
                     "last": self.span[1], "values": self.span[2]} if self.over else None,
            "profiles": [
                {"name": r.name, "evidence": r.evidence, "sha256": r.sha256,
                 **r.cells(self.over or None)} for r in self.rows
            ],
            "damaged": [asdict(d) for d in self.damaged], "repeated": self.repeated,
            "ranked_within": "evidence",
        }  # fmt: skip

    # As with a prediction: asked only when it is shown.
    def __rich__(self) -> Any:
        from perfmodel.report.fleet import comparison_blocks
        from perfmodel.report.terminal import to_rich

        return to_rich(comparison_blocks(self))

    def _repr_html_(self) -> str:
        from perfmodel.report.fleet import comparison_blocks
        from perfmodel.report.html import to_fragment

        return to_fragment(comparison_blocks(self))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def ranked(rows: Sequence[Row]) -> tuple[tuple[Row, ...], list[int]]:
    """Order rows by evidence and net gain, and return the rank of each in the order given.

    Returns
    -------
    rows : tuple of Row
    ranks : list of int
        Within the evidence; 0 where the gain is unknown.
    """
    order = list(EVIDENCE)
    places = sorted(
        range(len(rows)),
        key=lambda i: (order.index(rows[i].evidence), not math.isfinite(rows[i].cut.estimate),
                       -rows[i].cut.estimate, rows[i].name),
    )  # fmt: skip
    ranks, out, last = [0] * len(rows), [], dict.fromkeys(order, 0)
    for i in places:
        row = rows[i]
        if math.isfinite(row.cut.estimate):
            last[row.evidence] += 1
            ranks[i] = last[row.evidence]
        out.append(replace(row, rank=ranks[i]))
    return tuple(out), ranks
