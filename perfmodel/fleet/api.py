"""The verb: profiles in, the verdict of each on one scenario out, in batches of bounded memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.breakeven.sweeps import sweep_of
from perfmodel.errors import InputError
from perfmodel.fleet.comparison import Comparison, Crossing, Gain, Row, ranked
from perfmodel.fleet.crossings import closer, crossings_of, whole
from perfmodel.fleet.profiles import Damaged, Profile, count_profiles, profiles_of
from perfmodel.machine import Machine
from perfmodel.scenario import Policy
from perfmodel.sweeping.arrays import unknown_constants
from perfmodel.sweeping.axes import Axis, axis_of, read_axis
from perfmodel.sweeping.files import gathered
from perfmodel.sweeping.plan import make_plan
from perfmodel.sweeping.variables import ANSWERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.scenario import Scenario

__all__ = ["compare"]

#: Profiles that are in memory at a time, and of them in one block of a sweep.
BATCH, _BLOCK = 256, 32

#: Profiles from which on the compiled loop is worth compiling: that takes some seconds.
WORTH = 400

_ASKED = ("net_gain", "p_pays", "verdict", "verdict_if_safe", "verdict_policy", "best_safe_policy",
          "share_of_thread_time", "inside_stated_region")  # fmt: skip


def compare(
    profiles: Sequence[str | os.PathLike[str] | Machine] | str | os.PathLike[str],
    scenario: Scenario,
    *,
    over: str | None = None,
    points: int = 41,
    draws: int = 100,
    seed: int = 0,
    workers: int | None = None,
    path: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> Comparison:
    """Give the verdict on one scenario for every machine of a fleet, ranked by gain.

    The closed forms answer, through the same blocks as a sweep; `inside_stated_region` says where their
    error is known. Profiles are ranked among those that rest on the same: what was measured in an
    emulated guest never stands between measured machines.

    Parameters
    ----------
    profiles : sequence of path, str or Machine
        Names of shipped profiles, profiles' files, folders of them, Parquet tables of constants
        (:mod:`perfmodel.fleet.table`). A damaged one is counted in the answer with its file and field.
    scenario : Scenario
        What is asked; each profile takes the place of its machine.
    over : str, optional
        A parameter along which the sign of the gain is followed, as `perfmodel.break_even` takes it; or
        ``NAME=VALUES`` as ``perfmodel sweep --over`` does. The cut is the one judged for the profile.
    points : int
        Values over the parameter's typical range.
    draws, seed : int
        Draws of each machine's constants behind its intervals.
    workers : int, optional
        Threads. Default: the CPUs that this process may use.
    path : path, optional
        A ``.parquet`` file to write: constants and answers, in the order of the profiles.
    force : bool
        Replace what is there.
    progress : callable
        Told the share done, 0 to 1.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If no profile can be read, or the parameter is unknown.
    MissingExtraError
        If a table is read or written without pyarrow.
    """
    if isinstance(profiles, str | os.PathLike | Machine):
        profiles = [profiles]
    swept = None if over is None else _swept(scenario, over, points)
    total = max(count_profiles(profiles), 1)
    # As many as there are, and as many values, decide whether the loop is compiled.
    loop = find_spec("numba") is not None and total * len(swept.values if swept else "1") >= WORTH
    how = {"draws": draws, "seed": seed, "workers": workers, "loop": loop}
    rows: list[Row] = []
    damaged: list[Damaged] = []
    seen: set[str] = set()
    repeated = read = 0
    with _table(path, force=force) as (keep, write):
        found = profiles_of(profiles)
        while batch := list(islice(found, BATCH)):
            damaged += [p for p in batch if isinstance(p, Damaged)]
            whole = [p for p in batch if isinstance(p, Profile)]
            fresh = [p for p in whole if not (p.sha256 in seen or seen.add(p.sha256))]  # type: ignore[func-returns-value]
            repeated += len(whole) - len(fresh)
            if fresh:
                rows += _answered(scenario, fresh, swept, how)
                keep(fresh)
            read += len(batch)
            progress(min(read / total, 1.0))
        if not rows:
            raise _none(damaged)
        ordered, ranks = ranked(rows)
        write([replace(row, rank=rank) for row, rank in zip(rows, ranks, strict=True)],
              None if swept is None else swept.name, scenario)  # fmt: skip
    declared = None if swept is None else swept.declared
    return Comparison(
        scenario, ordered, tuple(damaged), repeated, draws, "" if swept is None else swept.name,
        "" if declared is None else declared.unit,
        (np.nan, np.nan, 0) if swept is None
        else (float(swept.values[0]), float(swept.values[-1]), len(swept.values)),
    )  # fmt: skip


def _none(damaged: Sequence[Damaged]) -> InputError:
    if not damaged:
        return InputError("there is no profile", field="profiles", expected="at least one")
    one = damaged[0]
    more = f"; and {len(damaged) - 1} more" if len(damaged) > 1 else ""
    return InputError(one.what + more, file=one.source, field=one.field or None,
                      expected="a profile, a folder of them, or a Parquet table of constants")  # fmt: skip


def _swept(scenario: Scenario, over: str, points: int) -> Axis:
    """Return the parameter of the crossings and its values, ascending."""
    if "=" in over:
        axis, _ = read_axis(over)
        if axis.declared is None or len(axis.values) < 2:
            raise InputError(f"{over!r} has no two numbers to turn between", field="over",
                             expected="a parameter with at least two values")  # fmt: skip
        return replace(axis, values=np.sort(axis.values))
    sweep = sweep_of(scenario, over)
    return axis_of(sweep.over, sweep.grid(points))


def _answered(
    scenario: Scenario, fleet: Sequence[Profile], swept: Axis | None, how: dict[str, Any]
) -> list[Row]:
    """Answer some profiles by sweeps whose first dimension they are."""
    # Two profiles may have one name: within the sweep each has its place for one.
    axis = Axis("machine", np.arange(len(fleet)).astype(str), tuple(p.machine for p in fleet))
    found = _computed(scenario, [axis], _ASKED, how)
    curves = None if swept is None else _computed(scenario, [axis, swept], ("net_gain",), how)
    names = [p.value for p in scenario.policies]
    gains, pays = _bounds(found["net_gain"], how), found["p_pays"]
    rows = []
    for i, profile in enumerate(fleet):
        cut, safe = (int(found[name][i]) for name in ("verdict_policy", "best_safe_policy"))
        answer, asked = ANSWERS[found["verdict"][i]], scenario.replace(machine=profile.machine)
        known = answer != "unknown"
        row = Row(
            profile.machine.name, profile.source, profile.sha256, profile.machine.evidence,
            answer, ANSWERS[found["verdict_if_safe"][i]],
            _gain(names[cut], gains[i, cut] if known else np.full(3, np.nan), pays[i, cut]),
            float(found["share_of_thread_time"][i]),
            _gain(names[safe], gains[i, safe], pays[i, safe]),
            bool(found["inside_stated_region"][i, cut]),
            why="" if known else unknown_constants(asked),
        )  # fmt: skip
        if swept is not None and curves is not None:
            gain = _bounds(curves["net_gain"][i, :, cut], how)
            turns, crossings = _turns(asked, swept, gain, cut, how) if known else ("unknown", ())
            row = replace(row, turns=turns, crossings=crossings)
        rows.append(row)
    return rows


def _turns(
    scenario: Scenario, swept: Axis, gain: NDArray[np.float64], cut: int, how: dict[str, Any]
) -> tuple[str, tuple[Crossing, ...]]:
    """Follow the sign of one cut's gain, with more values where it turns."""
    scale = sweep_of(scenario, swept.name).scale
    grid = swept.values
    turns, crossings = crossings_of(grid, gain, scale)
    more = closer(grid, crossings, scale)
    if more.size:
        found = _computed(scenario, [replace(swept, values=more)], ("net_gain",), how)
        grid, order = np.unique(np.concatenate([grid, more]), return_index=True)
        gain = np.concatenate([gain, _bounds(found["net_gain"][:, cut], how)])[order]
        turns, crossings = crossings_of(grid, gain, scale)
    return turns, tuple(map(whole, crossings)) if scale.integer else crossings


def _computed(
    scenario: Scenario, axes: list[Axis], variables: Sequence[str], how: dict[str, Any]
) -> dict[str, NDArray[Any]]:
    points = _BLOCK * int(np.prod([len(a.values) for a in axes[1:]], dtype=int))
    plan = make_plan(
        scenario, axes, draws=how["draws"], seed=how["seed"], levels=(), variables=variables,
        block_points=points,
    )  # fmt: skip
    return gathered(plan, workers=how["workers"], loop=how["loop"])[0]


def _bounds(gain: NDArray[np.float64], how: dict[str, Any]) -> NDArray[np.float64]:
    """Return low, estimate and high along the last dimension, also of the estimate alone."""
    return gain if how["draws"] > 1 else np.stack([gain] * 3, axis=-1)


def _gain(policy: str, bounds: NDArray[np.float64], pays: float) -> Gain:
    low, estimate, high = map(float, bounds)
    return Gain(policy, estimate, low, high, np.nan if policy == Policy.NONE.value else float(pays))


@contextmanager
def _table(
    path: str | os.PathLike[str] | None, *, force: bool
) -> Iterator[tuple[Callable[[Iterable[Profile]], None], Callable[..., None]]]:
    """Give what keeps profiles aside, batch by batch, and what writes them with their answers."""
    if path is None:
        yield (lambda _: None), (lambda *_: None)
        return
    from perfmodel.fleet.writing import TableWriter, check_table

    target = Path(path)
    check_table(target, force=force)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name[:40]}.") as folder:
        writer = TableWriter(target, Path(folder))
        yield writer.keep, writer.write
