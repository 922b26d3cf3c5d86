"""Predicted against measured: where the sign is right, how large the error is, what the misses are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from perfmodel.counterfactual.effects import Effect, Measured, measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perfmodel.counterfactual.configuration import Configuration
    from perfmodel.counterfactual.document import Run
    from perfmodel.counterfactual.predicted import Predicted

__all__ = ["EFFECTS", "Comparison", "Score", "compare_run", "score", "turns"]

#: Effects that are compared: on the reads a second, the mean wait of a read, and the calls a second,
#: which fall where readers who are let in earlier make the callers wait longer.
EFFECTS = ("throughput", "wait", "calls")

By = Literal["product", "kernel"]


@dataclass(frozen=True)
class Comparison:
    """One configuration, measured and predicted.

    Parameters
    ----------
    configuration : Configuration
    measured : Measured
    predicted : Predicted
    """

    configuration: Configuration
    measured: Measured
    predicted: Predicted

    def effect(self, name: str) -> Effect:
        """Return a measured effect of `EFFECTS`."""
        found: Effect = getattr(self.measured, name)
        return found

    def forecast(self, name: str, by: By = "product") -> float:
        """Return the same effect as predicted, by the product's solver or the kernel's simulation."""
        found: float = getattr(self.predicted, name if by == "product" else f"kernel_{name}")
        return found

    def hit(self, name: str, by: By = "product") -> bool | None:
        """Whether the predicted sign is the measured one.

        None where noise hides the measured one, or where others disturbed the measurement.
        """
        effect = self.effect(name)
        if self.measured.disturbed or not effect.significant:
            return None
        return bool(np.sign(effect.value) == np.sign(self.forecast(name, by)))


@dataclass(frozen=True)
class Score:
    """How well an effect was predicted over some configurations.

    Parameters
    ----------
    count, disturbed : int
        Configurations, and those of them that others disturbed too much.
    significant : int
        Those whose measured effect exceeds its noise.
    right : int
        Of them, those whose sign was predicted.
    by_guess : int
        Of those beyond noise, the ones in which readers gain, or callers lose nothing: what somebody is
        right in who says that of every downgrade.
    by_chance : float
        Wrong signs beyond noise that a perfect model would have to be charged with: where an effect is
        small against its error, chance now and then measures the other sign. Their expected number,
        were every effect just as predicted.
    ratio_median : float
        Median of predicted over measured of those; NaN if there are none.
    error_median, error_p90 : float
        Of the factor between the two, as the size of its logarithm, back as a factor: 2 is twice or
        half. Of those whose sign was predicted.
    within : int
        Of the undisturbed ones, those where measured and predicted differ by no more than noise.
    """

    count: int
    disturbed: int
    significant: int
    right: int
    by_guess: int
    by_chance: float
    ratio_median: float
    error_median: float
    error_p90: float
    within: int


def compare_run(run: Run, predicted: Sequence[Predicted]) -> tuple[Comparison, ...]:
    """Put measured and predicted side by side, in the order of the grid."""
    by = {p.number: p for p in predicted}
    return tuple(
        Comparison(r.configuration, measured(r), by[r.configuration.number]) for r in run.records
    )


def _wrong_by_chance(true: float, effect: Effect) -> float:
    """Probability to measure the other sign beyond noise if the effect were `true`."""
    from scipy.special import ndtr

    if not effect.error > 0:
        return 0.0
    return float(ndtr(-(effect.noise + abs(true)) / effect.error))


def score(comparisons: Iterable[Comparison], name: str, by: By = "product") -> Score:
    """Score the predictions of one effect.

    Parameters
    ----------
    comparisons : iterable of Comparison
    name : str
        One of `EFFECTS`.
    by : {"product", "kernel"}
    """
    some = list(comparisons)
    clear = [c for c in some if c.hit(name, by) is not None]
    right = [c for c in clear if c.hit(name, by)]
    ratio = np.array([c.forecast(name, by) / c.effect(name).value for c in clear])
    factor = np.exp(np.abs(np.log([c.forecast(name, by) / c.effect(name).value for c in right])))
    within = sum(
        abs(c.forecast(name, by) - c.effect(name).value) <= c.effect(name).noise
        for c in some if not c.measured.disturbed
    )  # fmt: skip
    chance = sum(
        _wrong_by_chance(c.forecast(name, by), c.effect(name))
        for c in some if not c.measured.disturbed
    )  # fmt: skip
    guess = sum(c.effect(name).value * (-1 if name == "wait" else 1) > 0 for c in clear)
    nan = float("nan")
    return Score(
        len(some), sum(c.measured.disturbed for c in some), len(clear), len(right), int(guess), chance,
        float(np.median(ratio)) if ratio.size else nan,
        float(np.median(factor)) if factor.size else nan,
        float(np.quantile(factor, 0.9)) if factor.size else nan,
        within,
    )  # fmt: skip


def turns(comparisons: Iterable[Comparison]) -> tuple[int, float, float]:
    """Return what long slices of the scheduler do to the waits, where threads share CPUs.

    The models let all threads run at once, slowed down alike; a real thread is put off its CPU for
    milliseconds, now and then while it holds the lock. The same configurations are measured again by
    threads that give the CPU away often: the nearer to the models' picture, the nearer the waits.

    Parameters
    ----------
    comparisons : iterable of Comparison

    Returns
    -------
    count : int
        Configurations measured both ways, undisturbed.
    usual, short : float
        Median of measured over predicted mean wait without the downgrade: in the scheduler's slices,
        and in short turns. NaN if there are none.
    """

    def key(c: Configuration) -> tuple[object, ...]:
        told = ("number", "group", "quantum_us")
        return tuple(v for k, v in vars(c).items() if k not in told)

    quiet = [c for c in comparisons if not c.measured.disturbed]
    usual = {key(c.configuration): c for c in quiet if c.configuration.group == "few-cpus"}
    both = [
        (usual[key(c.configuration)], c)
        for c in quiet
        if c.configuration.group == "short-slices" and key(c.configuration) in usual
    ]
    if not both:
        return 0, float("nan"), float("nan")
    longer = [[c.measured.wait_ns[0] / c.predicted.wait_0 for c in pair] for pair in both]
    median = np.median(np.array(longer), axis=0)
    return len(both), float(median[0]), float(median[1])
