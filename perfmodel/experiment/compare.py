"""The prediction beside what was measured: each cut's effect, its sign, its size, the boots' spread."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t as student

from perfmodel.experiment.quantities import QUANTITIES, Quantity
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.experiment.configuration import Configuration
    from perfmodel.experiment.measured import Slice
    from perfmodel.experiment.predicted import Predicted

__all__ = ["Row", "Score", "compare", "score"]


@dataclass(frozen=True, eq=False)
class Row:
    """One quantity of one point under one cut, predicted and measured.

    Parameters
    ----------
    predicted : Predicted
    quantity : Quantity
    measured : float
        Median over the slices.
    measured_none : float
        The same without a cut.
    effect : float
        Median over the pairs of slices with and without the cut of one round: ratio or difference.
    error : float
        Standard error of `effect`, from the spread of the pairs.
    boot_spread : float
        Largest less smallest median of a boot, of `measured`, over their mean; NaN with one boot.
    pairs, boots : int
    """

    predicted: Predicted
    quantity: Quantity
    measured: float
    measured_none: float
    effect: float
    error: float
    boot_spread: float
    pairs: int
    boots: int

    @property
    def configuration(self) -> Configuration:
        """The point."""
        return self.predicted.configuration

    @property
    def cut(self) -> str:
        """The cut."""
        return self.predicted.cut

    @property
    def neutral(self) -> float:
        """The effect of a cut that changes nothing."""
        return 1.0 if self.quantity.relative else 0.0

    @property
    def noise(self) -> float:
        """Half width of the 90 % interval of the measured effect; infinite for one pair."""
        if self.pairs < 2:
            return math.inf
        # Few pairs know their own scatter badly: Student's law, not the normal one.
        return float(student.ppf((1 + LEVEL) / 2, self.pairs - 1)) * self.error

    @property
    def significant(self) -> bool:
        """Whether the measured effect is beyond its own noise."""
        return abs(self.effect - self.neutral) > self.noise

    @property
    def hit(self) -> bool | None:
        """Whether the sign was foretold; None where the measured effect is within its noise."""
        if not self.significant or not math.isfinite(self.predicted.effect):
            return None
        return (self.effect > self.neutral) == (self.predicted.effect > self.neutral)

    @property
    def helped(self) -> bool:
        """Whether the measured effect is one that a person would want."""
        return (self.effect > self.neutral) == self.quantity.more_is_better

    @property
    def ratio(self) -> float:
        """Predicted over measured value."""
        return self.predicted.value / self.measured if self.measured else math.nan

    @property
    def effect_ratio(self) -> float:
        """Predicted over measured effect: of ratios their quotient, of differences theirs."""
        return self.predicted.effect / self.effect if self.effect else math.nan

    @property
    def covered(self) -> bool | None:
        """Whether interval and measured effect, with its noise, meet; None without a prediction."""
        p = self.predicted
        if not math.isfinite(p.effect_low):
            return None
        reach = self.noise if math.isfinite(self.noise) else 0.0
        return bool(p.effect_low - reach <= self.effect <= p.effect_high + reach)


def compare(predicted: Iterable[Predicted], measured: Sequence[Slice]) -> list[Row]:
    """Put predictions beside the slices of any number of boots; points not measured are left out.

    Parameters
    ----------
    predicted : iterable of Predicted
    measured : sequence of Slice
    """
    at: dict[tuple[Any, ...], dict[tuple[str, int], Slice]] = defaultdict(dict)
    for one in measured:
        at[one.configuration, one.cut][one.boot, one.round] = one
    rows = []
    for p in predicted:
        cut, none = at.get((p.configuration, p.cut)), at.get((p.configuration, "none"))
        if cut and none:
            rows.append(_row(p, cut, none))
    return rows


def _row(p: Predicted, cut: dict[Any, Slice], none: dict[Any, Slice]) -> Row:
    quantity = QUANTITIES[p.quantity]
    values = {key: s.values[p.quantity] for key, s in cut.items()}
    pairs = sorted(cut.keys() & none.keys())
    with_it = np.array([values[k] for k in pairs])
    without = np.array([none[k].values[p.quantity] for k in pairs])
    with np.errstate(all="ignore"):
        effects = with_it / without if quantity.relative else with_it - without
    effects = effects[np.isfinite(effects)]
    boots = defaultdict(list)
    for (boot, _), value in values.items():
        boots[boot].append(value)
    medians = [float(np.median(v)) for v in boots.values()]
    known = len(medians) > 1 and np.mean(medians) > 0
    return Row(
        predicted=p, quantity=quantity,
        measured=_median(list(values.values())),
        measured_none=_median([s.values[p.quantity] for s in none.values()]),
        effect=_median(effects), error=_standard_error(effects),
        boot_spread=float(np.ptp(medians) / np.mean(medians)) if known else math.nan,
        pairs=len(effects), boots=len(boots),
    )  # fmt: skip


def _median(values: NDArray[np.float64] | Sequence[float]) -> float:
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if known.size else math.nan


def _standard_error(values: NDArray[np.float64]) -> float:
    """Return the standard error of the median of a few values; infinite for fewer than two."""
    if values.size < 2:
        return math.inf
    # sqrt(pi/2): the median of normal values scatters so much more than their mean.
    return float(math.sqrt(math.pi / 2) * np.std(values, ddof=1) / math.sqrt(values.size))


@dataclass(frozen=True)
class Score:
    """How some rows came out.

    Parameters
    ----------
    rows, significant, right : int
        Of the significant measured effects `right` had the sign foretold.
    by_guess : int
        How many would be right by saying that a cut always helps.
    effect_error : float
        Median of the factor by which a predicted ratio is off; NaN for differences.
    value_error : float
        The same of the values themselves.
    covered : float
        Share of the intervals that meet the measured effect.
    boot_spread : float
        Median.
    """

    rows: int
    significant: int
    right: int
    by_guess: int
    effect_error: float
    value_error: float
    covered: float
    boot_spread: float


def score(rows: Iterable[Row]) -> Score:
    """Return how well the effects of some rows were foretold."""
    rows = list(rows)
    clear = [r for r in rows if r.hit is not None]
    covered = [r.covered for r in rows if r.covered is not None]
    return Score(
        rows=len(rows), significant=len(clear), right=sum(bool(r.hit) for r in clear),
        by_guess=sum(r.helped for r in clear),
        effect_error=_factor([r.effect_ratio for r in rows if r.quantity.relative]),
        value_error=_factor([r.ratio for r in rows]),
        covered=float(np.mean(covered)) if covered else math.nan,
        boot_spread=_median([r.boot_spread for r in rows]),
    )  # fmt: skip


def _factor(ratios: Sequence[float]) -> float:
    known = np.array([r for r in ratios if math.isfinite(r) and r > 0])
    return float(np.exp(np.median(np.abs(np.log(known))))) if known.size else math.nan
