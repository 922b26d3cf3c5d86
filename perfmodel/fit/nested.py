"""Is a part of the model needed? The fit with it and without, by likelihood and on points held out.

The likelihood is the robust one of the fit, so its ratio follows the chi-square law only about; and where
the smaller model has no size at which a cost turns colder, that size has nothing to be estimated from, so
that chance finds larger ratios than the law says. Hence the second question, to points that neither model
was fitted to: where they contradict the likelihood there is no answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.fit.joint import SIZES, FitResult
from perfmodel.fit.objective import Objective, descend
from perfmodel.machine import CONSTANTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.fit.points import Point

__all__ = ["Comparison", "compare"]

#: Parts into which the points are divided; each is predicted by a fit to the others.
FOLDS = 5

#: Probability by chance below which the likelihood ratio speaks for the larger model.
_SURE = 0.01

#: Standard errors by which the held-out loss must be smaller to count against the likelihood.
_CLEAR = 2.0


@dataclass(frozen=True)
class Comparison:
    """Two nested models on the same points.

    Parameters
    ----------
    name : str
    question : str
        What is asked, in words.
    answer : {"needed", "not needed", "undecided", "not identifiable"}
    sentence : str
        The answer in words, with the reason.
    ratio : float
        Likelihood ratio: loss of the smaller model less that of the larger, over the scale.
    freedom : int
        Constants that the larger model has more.
    chance : float
        Probability of such a ratio were the smaller model true, by the chi-square law.
    held_out, held_out_error : float
        By how much the larger model predicts points better that neither was fitted to: loss in all,
        and its standard error.
    """

    name: str
    question: str
    answer: str
    sentence: str
    ratio: float = math.nan
    freedom: int = 0
    chance: float = math.nan
    held_out: float = math.nan
    held_out_error: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""
        return {
            k: (float(f"{v:.4g}") if math.isfinite(v) else None) if isinstance(v, float) else v
            for k, v in asdict(self).items()
        }


def compare(result: FitResult) -> tuple[Comparison, ...]:
    """Put the standing questions to a fit.

    Parameters
    ----------
    result : FitResult
        The fit with all parts.

    Returns
    -------
    tuple of Comparison
        Whether the per-page costs turn colder beyond a size, for changing protection and for unmapping,
        and whether a shootdown is linear in the CPUs that it interrupts.
    """
    words = {"warm_pages": "changing protection", "warm_zap_pages": "unmapping"}
    return (
        *(_cold(result, size, what) for size, what in words.items()),
        _linear_shootdown(result),
    )


def _cold(result: FitResult, size: str, what: str) -> Comparison:
    cold = SIZES[size]
    question = f"Does a page cost more beyond some size ({what})?"
    if cold in result.zero:
        return Comparison(
            cold, question, "not needed",
            f"{what}: one cost a page does; the fit sets the further cost of cold pages to zero"
            f" (at most {result.zero[cold]:.3g} ns).",
        )  # fmt: skip
    if cold not in result.free or size not in result.free:
        return Comparison(cold, question, "not identifiable",
                          f"{what}: not identifiable from these data: no point depends on it.")  # fmt: skip
    full = result.objective
    keep = [i for i, n in enumerate(full.free) if n not in (cold, size)]
    smaller = replace(
        full,
        free=tuple(full.free[i] for i in keep),
        fixed={**full.fixed, cold: 0.0, size: CONSTANTS[size].domain[1]},
    )
    return _compared(
        result, cold, question, (full, result.theta), (smaller, result.theta[keep]),
        f"{what}: one cost a page", f"a further {math.exp(result.theta[full.free.index(cold)]):.3g} ns"
        f" beyond {math.exp(result.theta[full.free.index(size)]):.0f} pages",
    )  # fmt: skip


def victims(points: tuple[Point, ...]) -> dict[int, int]:
    """Return how many points interrupt how many other CPUs, none left out."""
    counts: dict[int, int] = {}
    for point in points:
        if point.call is not None and point.remote_cpus > 0:
            counts[round(point.remote_cpus)] = counts.get(round(point.remote_cpus), 0) + 1
    return dict(sorted(counts.items()))


def _linear_shootdown(result: FitResult) -> Comparison:
    question = "Is a shootdown linear in the CPUs that it interrupts?"
    full = result.objective
    counts = victims(tuple(full.points))
    if len(counts) < 3:
        seen = {0: "no other CPU was interrupted", 1: "one victim count", 2: "two victim counts"}
        more = "; a line goes through any two" if len(counts) == 2 else ""
        listed = f" ({', '.join(map(str, counts))})" if counts else ""
        return Comparison(
            "shootdown", question, "not identifiable",
            f"shootdown: not identifiable from this data: {seen[len(counts)]}{listed}{more}. It takes"
            " three numbers of other CPUs running the same process: --spinners of call_latency on a machine"
            " of four CPUs or more.",
        )  # fmt: skip
    remote = np.array([round(p.remote_cpus) if p.call is not None else 0 for p in full.points])
    once = full.design.fixed[:, full.design.costs.index("shootdown")]
    # Beyond the first two every number of victims gets a cost of its own, of either sign, in us.
    own = np.column_stack([np.where(remote == n, once, 0.0) for n in list(counts)[2:]]) * 1e3
    bent = replace(full, extra=own)
    return _compared(
        result, "shootdown", question,
        (bent, np.append(result.theta, np.zeros(own.shape[1]))), (full, result.theta),
        f"shootdown: the first CPU and each further one ({', '.join(map(str, counts))} were interrupted)",
        "a cost of its own for each number of CPUs",
    )  # fmt: skip


_Model = tuple[Objective, "NDArray[np.float64]"]


def _compared(
    result: FitResult, name: str, question: str, larger: _Model, smaller: _Model, simple: str,
    more: str,
) -> Comparison:  # fmt: skip
    from scipy.special import chdtrc

    fits = [
        descend(objective, theta, steps=80, close=1e-2) for objective, theta in (larger, smaller)
    ]
    ratio = max(fits[1][1] - fits[0][1], 0.0) / result.scale
    freedom = len(larger[1]) - len(smaller[1])
    chance = float(chdtrc(freedom, ratio))
    gain, error = _held_out(
        (larger[0], fits[0][0]), (smaller[0], fits[1][0]), len(result.predicted), result.scale
    )
    likely = chance < _SURE
    told = "confirm it" if gain > error else "contradict it" if gain < -error else "do not tell"
    if likely and told != "contradict it":
        answer, said = "needed", f"{simple} does not do; {more} is needed"
    elif not likely and gain <= _CLEAR * error:
        answer, said = "not needed", f"{simple} does as well as {more}"
    else:
        answer, said = (
            "undecided",
            f"{simple} or {more}: "
            + (
                "the likelihood speaks for the latter, points held out against it"
                if likely
                else "points held out speak for the latter, the likelihood does not"
            ),
        )
    how = f"points held out {told}: " if likely else ""
    return Comparison(
        name, question, answer,
        f"{said} (likelihood ratio {ratio:.1f} on {freedom} degree{'s' if freedom > 1 else ''} of freedom,"
        f" p {_chance_text(chance)}; {how}with it the loss of points held out, a fifth at a time, is"
        f" {'smaller' if gain > 0 else 'larger'} by {abs(gain):.1f} +- {error:.1f}).",
        ratio, freedom, chance, gain, error,
    )  # fmt: skip


def _chance_text(chance: float) -> str:
    return "< 0.0001" if chance < 1e-4 else f"{chance:.2g}"


def _held_out(larger: _Model, smaller: _Model, count: int, scale: float) -> tuple[float, float]:
    """Return how much better the larger model predicts each fifth from the others, and the error."""
    order = np.random.default_rng(0).permutation(count)
    losses = []
    for part in range(FOLDS):
        test = np.sort(order[part::FOLDS])
        train = np.setdiff1d(order, test)
        losses.append(
            [
                replace(objective, rows=test).point_cost(
                    descend(replace(objective, rows=train), theta, steps=40, close=0.1)[0]
                )
                for objective, theta in (larger, smaller)
            ]
        )
    gains = np.concatenate([small - large for large, small in losses]) / scale
    return float(gains.sum()), float(np.std(gains, ddof=1) * math.sqrt(len(gains)))


def to_dicts(comparisons: tuple[Comparison, ...]) -> list[Mapping[str, Any]]:
    """Return the comparisons as a profile keeps them."""
    return [c.to_dict() for c in comparisons]
