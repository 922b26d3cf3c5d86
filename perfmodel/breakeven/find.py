"""The search itself: the net gain over a grid, its sign changes, and their intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.breakeven.formula import closed_form
from perfmodel.breakeven.result import BreakEven, Root
from perfmodel.breakeven.search import (
    WIDTH,
    Found,
    Scale,
    SignChange,
    interpolated,
    sign_changes,
)
from perfmodel.breakeven.sweeps import SOLVER, Sweep, sweep_of
from perfmodel.prediction import predict
from perfmodel.results import LEVEL
from perfmodel.scenario import Policy, Scenario
from perfmodel.stale_tlb import safety
from perfmodel.verdict import CUTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["break_even"]

#: Values around each root at which the draws are evaluated besides the grid, and how often such values
#: are added at most: until the draws' roots move by less than a part of their spread.
LOCAL, ROUNDS, _MOVED = 5, 2, 0.05

#: Draws that must have a root for its interval.
FEWEST = 10

#: Part of the progress that the grid makes up.
_GRID_PART = 0.7


class _Model:
    """The net gain of the cut over the swept parameter, and who answered."""

    def __init__(self, sweep: Sweep, policy: Policy, draws: int) -> None:
        self.sweep, self.policy, self.draws = sweep, policy, draws
        self.solvers: dict[float, str] = {}
        self.outside: Counter[str] = Counter()

    def gain(self, value: float, draws: int) -> NDArray[np.float64]:
        scenario = self.sweep.at(value)
        if scenario is None:
            return np.full(draws, math.nan)
        predicted = predict(
            scenario, draws=draws, levels=(), solver=self.sweep.solver, guards=False
        )
        result = predicted[self.policy]
        # Of a chain the name goes on with its size.
        self.solvers[value] = result.answer.solver.partition(",")[0]
        if draws == self.draws:
            self.outside.update({why for r in predicted.results for why in r.answer.broken})
        return np.asarray(np.broadcast_to(result.net_gain, (draws,)))

    def central(self, value: float) -> float:
        return float(self.gain(value, 1)[0])


def break_even(
    scenario: Scenario,
    over: str,
    *,
    policy: Policy | None = None,
    points: int = 41,
    draws: int = 100,
    solver: str = SOLVER,
    progress: Callable[[float], None] = lambda _: None,
) -> BreakEven:
    """Find every value of one parameter at which the net gain of a cut changes sign.

    Parameters
    ----------
    scenario : Scenario
        Everything else.
    over : str
        One of `PARAMETERS`; ``writer_share``, the share of the passes over the lock that are calls;
        or the name of a constant of the machine, such as ``shootdown``, which then has the value tried
        in every draw.
    policy : Policy, optional
        The cut. Default: the one that the verdict on the scenario itself judges.
    points : int
        Values tried over the typical range of the parameter.
    draws : int
        Draws behind the intervals.
    solver : {"chain", "closed", "auto"}
        Who answers the lock's questions, as in :func:`perfmodel.prediction.predict`. ``chain``: the
        exact chain where the closed form's error is not known and the chain is small enough; ``closed``
        is the quickest; ``auto`` asks the simulation too, whose chance may turn the sign where the gain
        is small.
    progress : callable
        Told the share done, 0 to 1.

    Returns
    -------
    BreakEven

    Raises
    ------
    InputError
        If the parameter is unknown.
    """
    sweep_of(scenario, over)
    if policy is None:
        judged = predict(scenario, draws=1, levels=(), solver=solver, guards=False).verdict.policy
        policy = Policy(judged) if judged != "none" else CUTS[0]
    sweep = sweep_of(scenario.replace(policies=(Policy.NONE, policy)), over, solver)
    grid = sweep.grid(points)
    model = _Model(sweep, policy, draws)
    gain = np.empty((grid.size, draws))
    for i, value in enumerate(grid):
        gain[i] = model.gain(float(value), draws)
        progress(_GRID_PART * (i + 1) / grid.size)
    outside = dict(model.outside)
    found = sign_changes(model.central, grid, gain[:, 0], sweep.scale)
    answer = _answer(gain[:, 0], found)
    closed = closed_form(sweep, policy, found.changes, answer, grid)
    roots = _roots(model, found.changes, grid, gain, progress)
    safe = safety(scenario.kernel, scenario.call, policy)
    progress(1.0)
    return BreakEven(
        over=sweep.over,
        policy=policy,
        answer=answer,
        roots=roots,
        grid=grid,
        net_gain=gain,
        safe=safe.safe,
        why_unsafe="" if safe.safe else safe.reason,
        scenario=scenario,
        closed_form=closed,
        notes=tuple(_notes(model, found, grid, gain[:, 0], outside)),
    )


def _answer(gain: NDArray[np.float64], found: Found) -> str:
    known = gain[np.isfinite(gain)]
    if known.size == 0:
        return "unknown"
    if found.changes or found.gaps:
        return "turns"
    return "always" if known[0] > 0 else "never"


def _notes(
    model: _Model, found: Found, grid: NDArray[np.float64], gain: NDArray[np.float64],
    outside: dict[str, int],
) -> list[str]:  # fmt: skip
    """Say what the numbers alone do not."""
    sweep = model.sweep
    notes = sweep.notes()
    known = gain[np.isfinite(gain)]
    if known.size > 1 and np.ptp(known) == 0:
        why = sweep.unused()
        notes.append(
            f"the net gain does not depend on {sweep.over} here" + (f": {why}" if why else "")
        )
    notes += [
        f"the sign is another one below {low:.4g} and above {high:.4g}; between them there is no answer"
        for low, high in found.gaps
    ]
    notes += [
        f"at {count} of {grid.size} values outside the region of the stated error: not so that {why}"
        for why, count in outside.items()
    ]
    tried = np.array(sorted(model.solvers))
    for change in found.changes:
        at = int(np.searchsorted(tried, change.value))
        ends = [model.solvers[float(v)] for v in tried[max(at - 1, 0) : at + 1]]
        if len(set(ends)) > 1:
            notes.append(
                f"at {change.value:.4g} the solver changes ({' to '.join(ends)}): part of the change may"
                " be theirs"
            )
    return notes


def _roots(
    model: _Model, changes: Sequence[SignChange], grid: NDArray[np.float64],
    gain: NDArray[np.float64], progress: Callable[[float], None],
) -> tuple[Root, ...]:  # fmt: skip
    """Give every root the interval and the share of the draws that have it.

    The draws' own roots lie where straight lines between the values tried cross zero, so values are
    added around every root, over the stretch where the draws have theirs.
    """
    scale = model.sweep.scale
    own = _draws_roots(changes, grid, gain, scale)
    for turn in range(ROUNDS if gain.shape[1] > FEWEST else 0):
        more = _around(changes, own, grid, scale)
        extra = np.empty((more.size, gain.shape[1]))
        for i, value in enumerate(more):
            extra[i] = model.gain(float(value), gain.shape[1])
            part = (turn + (i + 1) / more.size) / ROUNDS
            progress(_GRID_PART + (1 - _GRID_PART) * part)
        order = np.argsort(np.concatenate([grid, more]), kind="stable")
        grid = np.concatenate([grid, more])[order]
        gain = np.concatenate([gain, extra])[order]
        before, own = own, _draws_roots(changes, grid, gain, scale)
        if _settled(before, own, scale):
            break
    if not scale.log:
        own = np.where(np.abs(own) < WIDTH * np.ptp(grid), 0.0, own)
    return tuple(_root(change, own[k], scale) for k, change in enumerate(changes))


def _settled(before: NDArray[np.float64], after: NDArray[np.float64], scale: Scale) -> bool:
    """Whether the draws' roots have moved by little of their spread."""
    for old, new in zip(before, after, strict=True):
        both = np.isfinite(old) & np.isfinite(new)
        if (np.isfinite(old) != np.isfinite(new)).any():
            return False
        places = [np.array([scale.on(v) for v in own[both]]) for own in (old, new)]
        if both.any() and np.abs(places[1] - places[0]).max() > _MOVED * np.ptp(places[1]):
            return False
    return True


def _around(
    changes: Sequence[SignChange], own: NDArray[np.float64], grid: NDArray[np.float64], scale: Scale
) -> NDArray[np.float64]:
    """Return values to add around the roots."""
    places = [scale.on(c.value) for c in changes]
    more: list[float] = []
    for k, change in enumerate(changes):
        known = own[k][np.isfinite(own[k])]
        at = int(np.clip(np.searchsorted(grid, change.value), 1, grid.size - 1))
        low, high = grid[at - 1], grid[at]
        if known.size >= FEWEST:
            low, high = np.quantile(known, [0.02, 0.98])
        # Two roots in one cell: the stretch of the pair, which the grid does not show.
        gaps = [abs(p - places[k]) for j, p in enumerate(places) if abs(j - k) == 1]
        cell = scale.on(grid[at]) - scale.on(grid[at - 1])
        if gaps and min(gaps) < cell:
            low, high = (scale.value(places[k] + s * min(gaps)) for s in (-1.5, 1.5))
        low, high = max(low, grid[0]), min(high, grid[-1])
        if high > low:
            more += scale.between(low, high, LOCAL).tolist()
        if scale.integer or not known.size or not known.min() <= change.value <= known.max():
            # The sign may jump here in every draw: between these two no line is needed.
            step = WIDTH * (scale.on(grid[-1]) - scale.on(grid[0]))
            near = [scale.value(places[k] + s * step) for s in (-1, 1)]
            more += [change.value - 1, change.value] if scale.integer else near
    inside = [v for v in more if grid[0] <= v <= grid[-1]]
    return np.setdiff1d(np.array(inside), grid)


def _draws_roots(
    changes: Sequence[SignChange],
    grid: NDArray[np.float64],
    gain: NDArray[np.float64],
    scale: Scale,
) -> NDArray[np.float64]:
    """Return, for every root of the estimate, that of each draw; NaN where it has none.

    Draws with the same sequence of changes have the same roots in order. Of the others a change is
    taken for a root if it is the nearest of its kind to that root, and that root to it.
    """
    own = np.full((len(changes), gain.shape[1] - 1), math.nan)
    sides = [c.side for c in changes]
    for draw in range(gain.shape[1] - 1):
        there = interpolated(grid, gain[:, draw + 1], scale)
        if [c.side for c in there] == sides:
            own[:, draw] = [c.value for c in there]
            continue
        for k, change in enumerate(changes):
            nearest = _nearest(change, there, scale)
            if nearest is not None and _nearest(nearest, changes, scale) is change:
                own[k, draw] = nearest.value
    return own


def _nearest(change: SignChange, others: Sequence[SignChange], scale: Scale) -> SignChange | None:
    same = [o for o in others if o.side == change.side]
    place = scale.on(change.value)
    return min(same, key=lambda o: abs(scale.on(o.value) - place), default=None)


def _root(change: SignChange, own: NDArray[np.float64], scale: Scale) -> Root:
    known = own[np.isfinite(own)]
    share = known.size / own.size if own.size else math.nan
    if known.size < max(FEWEST, own.size / 2):
        return Root(change.value, math.nan, math.nan, change.side, share)
    levels = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    if scale.integer:
        # The first whole number on the far side, and no number between two draws.
        low, high = np.quantile(np.ceil(known), levels, method="inverted_cdf")
    else:
        low, high = np.quantile(known, levels)
    return Root(change.value, float(low), float(high), change.side, share)
