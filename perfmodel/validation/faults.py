"""What faults meet beside a working caller: the share that blocks, and the quantiles of their latency."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.fit.natural import Experiment, during_law, share_above, threshold
from perfmodel.hold import Hold, hold
from perfmodel.observations import joined
from perfmodel.validation.predictive import Draws, interval
from perfmodel.validation.result import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from perfmodel.equations.during import FaultsDuring

__all__ = ["LEVELS", "conditions_of", "drawn_hold", "fault_rows", "in_order", "label_of", "law_of",
           "where_of"]  # fmt: skip

#: Quantiles of the latency that are compared.
LEVELS = {"fault p50": 0.5, "fault p90": 0.9, "fault p99": 0.99}

# Nodes of the law of undisturbed faults, crowded at both ends.
_s, _w = np.polynomial.legendre.leggauss(48)
_s = 0.5 * (_s + 1.0)
_NODES, _WEIGHTS = _s * _s * (3 - 2 * _s), 0.5 * _w * 6 * _s * (1 - _s)


def conditions_of(one: Experiment) -> dict[str, Any]:
    """Return what tells an experiment from the others of its caller."""
    names = ("transition", "pages", "splits", "merges", "duty_asked")
    return {n: one.conditions[n] for n in names if n in one.conditions}


def label_of(one: Experiment) -> str:
    """Return the caller and what the other thread faults on."""
    return f"{one.conditions['writer']}, {one.target}"


def in_order(found: list[Experiment]) -> list[Experiment]:
    """Return experiments by caller, direction, target and pages, as a person would list them."""

    def place(one: Experiment) -> tuple[str, str, int, float]:
        c = one.conditions
        return (label_of(one), str(c.get("transition", "")), int(c["pages"]),
                float(c.get("duty_asked", 0.0)))  # fmt: skip

    return sorted(found, key=place)


def where_of(one: Experiment) -> str:
    """Return file and record of the first repetition."""
    return f"{one.during[0].source.file}:{one.during[0].line}"


def drawn_hold(one: Experiment, draws: Draws) -> Hold:
    """Return the hold of the experiment's call over the draws, the model's own scatter included."""
    held = hold(one.scenario, one.policy, draws.constants)
    exclusive, shared = held.exclusive * draws.scatter(0), held.shared * draws.scatter(1)
    return replace(
        held, exclusive=exclusive, shared=shared,
        call=held.call - held.exclusive - held.shared + exclusive + shared,
    )  # fmt: skip


def _idle_law(one: Experiment, draws: Draws) -> tuple[NDArray[np.float64], Any]:
    """Law of an undisturbed fault: as measured in the run's control arm, else the profile's one."""
    if not one.idle:
        return np.array([draws.machine.value("fault_minor")]), 1.0
    idle = joined(one.idle)
    return np.array([idle.quantile(p) for p in _NODES]), _WEIGHTS


def law_of(one: Experiment, draws: Draws, held: Hold) -> FaultsDuring:
    """Return the law of the faults that begin during the experiment's calls, over the draws."""
    values, weights = _idle_law(one, draws)
    return during_law(
        draws.constants, held, one.think_ns, values, weights, affected=one.affected
    )  # fmt: skip


def fault_rows(draws: Draws, experiments: list[Experiment]) -> list[Row]:
    """Return, for every experiment, the blocked share and the quantiles of the fault latency.

    Blocked is, measured and predicted alike, what takes longer than
    :func:`perfmodel.fit.natural.threshold`. The wait is the rest of the exclusive hold and a
    wake-up of constant length; the law of an undisturbed fault is that of the run's faults without
    any caller.
    """
    rows = []
    for one in experiments:
        law = law_of(one, draws, drawn_hold(one, draws))
        measured = joined(one.during)
        limit = threshold(draws.machine, one.idle_ns)
        shared = {
            "operation": label_of(one), "conditions": conditions_of(one),
            "events": one.faults, "where": where_of(one),
        }  # fmt: skip
        above = law.above(limit) if math.isfinite(limit) else law.blocked_share * math.nan
        share = _sampled(above, draws, one)
        rows.append(_row("blocked", "1", share_above(one.during, limit), share, shared))
        for kind, level in LEVELS.items():
            # The rank of the sample's quantile varies as a binomial share does.
            drawn = law.quantile(_sampled(np.full(draws.count, level), draws, one))
            rows.append(_row(kind, "ns", measured.quantile(level), drawn, shared))
    return rows


def _sampled(share: NDArray[np.float64], draws: Draws, one: Experiment) -> NDArray[np.float64]:
    """Return what a sample like the experiment's would show of a probability.

    The law of undisturbed faults is a sample, too.
    """
    weight = 1.0 / one.faults + 1.0 / max(sum(g.total for g in one.idle), 1)
    error = np.sqrt(share * (1 - share) * weight)
    return np.asarray(np.clip(share + draws.noise[2] * error, 0.0, 1.0))


def _row(
    kind: str, unit: str, measured: float, drawn: NDArray[np.float64], shared: Mapping[str, Any]
) -> Row:
    value, low, high = interval(drawn)
    reason = (
        "" if math.isfinite(value) else "the profile lacks a constant of the call or the wake-up"
    )
    return Row(kind, unit=unit, measured=measured, predicted=value, low=low, high=high,
               reason=reason, **shared)  # fmt: skip
