"""``perfmodel sweep``: every prediction over a grid of parameters, on the terminal or into a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, bar, note, show, show_json
from perfmodel.cli.scenario_options import scenario_from, with_scenario
from perfmodel.cli.values import DRAWS, help_text, number
from perfmodel.errors import InputError
from perfmodel.quantities import Quantity

if TYPE_CHECKING:
    import xarray as xr

    from perfmodel.report.blocks import Block
    from perfmodel.sweeping.plan import Plan

NAME = "sweep"
EPILOG = (
    "The file's suffix says the format. .zarr is written block by block: it may be larger than memory, and"
    " the same command goes on where it was stopped. .parquet is a table of points and policies. Both, and"
    " --cluster, need the sweep extra; .nc (NetCDF 3) does not.\n\n"
    "Examples:\n\n"
    "perfmodel sweep --preset mail --over pages=1:65536:log5 --over fault-rate=1e3,1e5 --draws 50\n\n"
    "perfmodel sweep --over fault-threads=1,2,4,8 --over kernel=5.11,6.18 --draws 1\n\n"
    "perfmodel sweep --over pages=1:65536:log17 --over fault-rate=10:5e6:log200 --over writer-think-us="
    "1:1e5:log200 --draws 1 -o gain.zarr"
)

WORKERS = Quantity(
    "workers", "workers", "1", (1, 256), (1, 16), "threads that compute blocks", "caller", True
)

#: What every verb with workers elsewhere says of them.
CLUSTER_HELP = "Let a dask.distributed cluster compute, for instance tcp://host:8786."

_SEED = Quantity("seed", "seed", "1", (0, 2**31 - 1), (0, 100), "seed of the draws", "caller", True)
_BLOCK = Quantity("block", "block", "1", (1, 1e8), (1e3, 1e6), "points computed at a time", "caller",
                  True)  # fmt: skip

#: Points up to which each has its line in the terminal.
_SHOWN = 60

#: Points times draws from which on it is said what they will cost: it takes a probe to know.
_SAID = 2000

#: Fields of an error that are options here.
_FLAGS = {
    "variables": "--variables", "solver": "--solver", "cluster": "--cluster", "zipped": "--zip",
    "draws": "--draws", "over": "--over", "path": "--output", "points": "--over",
}  # fmt: skip


@with_scenario
def command(
    typed: dict[str, Any],
    *,
    over: Annotated[
        list[str],
        typer.Option(
            "--over",
            metavar="NAME=VALUES",
            help="What to sweep, once for each dimension: a parameter of the scenario, a constant of the"
            " machine, or kernel, operation, transition, huge or machine. VALUES are separated by commas,"
            " or FIRST:LAST:logN or FIRST:LAST:linN for N of them; without log or lin the parameter says.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to FILE.nc, .zarr or .parquet."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    zipped: Annotated[
        bool,
        typer.Option("--zip", help="Take the first values together, then the second: no grid."),
    ] = False,
    draws: Annotated[str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")] = "100",
    seed: Annotated[str, typer.Option("--seed", help=help_text(_SEED), metavar="NUMBER")] = "0",
    keep_draws: Annotated[
        bool, typer.Option("--keep-draws", help="Give every draw, and not the interval.")
    ] = False,
    variables: Annotated[
        str | None,
        typer.Option(
            "--variables",
            metavar="NAMES",
            help="Variables to give, separated by commas, for instance net_gain,verdict. Default: all but"
            " guarded_gain and guarded_safe, of cuts with a guard.",
        ),
    ] = None,
    solver: Annotated[
        str,
        typer.Option(
            "--solver",
            metavar="NAME",
            help="closed: every point in closed form, flagged where its error is not known. auto or chain:"
            " such points are asked of that solver; simulation: every point is, with its error in the"
            " interval.",
        ),
    ] = "closed",
    single: Annotated[
        bool, typer.Option("--single", help="Keep numbers in single precision: half the room.")
    ] = False,
    block: Annotated[
        str | None, typer.Option("--block", help=help_text(_BLOCK), metavar="NUMBER")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option("--workers", help=help_text(WORKERS, "the CPUs there are"), metavar="NUMBER"),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDRESS",
            help=CLUSTER_HELP,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would cost, by a short probe, and stop.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Predict a scenario over a grid of parameters.

    What many points will cost is said before they are begun. A point that is no scenario is counted, and unknown in
    the result; so is a policy that does not apply.
    """  # fmt: skip
    count, start = int(number(draws, DRAWS, "--draws")), int(number(seed, _SEED, "--seed"))
    threads = None if workers is None else int(number(workers, WORKERS, "--workers"))
    points = None if block is None else int(number(block, _BLOCK, "--block"))
    scenario = scenario_from(typed)
    from perfmodel.sweeping.api import check_path, write_sweep
    from perfmodel.sweeping.axes import read_axis
    from perfmodel.sweeping.files import check_fits, compute
    from perfmodel.sweeping.plan import make_plan
    from perfmodel.sweeping.preview import preview

    try:
        axes = []
        for text in over:
            axis, remark = read_axis(text)
            axes.append(axis)
            if remark:
                note(remark)
        plan = make_plan(
            scenario, axes, zipped=zipped, draws=count, seed=start, keep_draws=keep_draws,
            variables=None if variables is None else variables.split(","), solver=solver, single=single,
            block_points=points,
        )  # fmt: skip
        target = None if output is None else Path(output)
        if target is not None:
            check_path(target, force=force)
        if (target is None or target.suffix == ".nc") and not dry_run:
            check_fits(plan, "-o FILE.zarr, fewer points, fewer --variables, or --single")
        if dry_run or plan.size * plan.draws >= _SAID:
            cost = preview(plan)
            note(cost.sentence())
        if dry_run:
            if as_json:
                show_json(vars(cost))
            return
        with bar("sweep") as progress:
            how = {"workers": threads, "cluster": cluster, "progress": progress}
            if target is None:
                found = compute(plan, **how)  # type: ignore[arg-type]
            else:
                write_sweep(plan, target, force=force, told=note, **how)
    except InputError as error:
        field = error.field or ""
        raise InputError(error.what, file=error.file, field=_FLAGS.get(field, field) or None,
                         expected=error.expected) from None  # fmt: skip
    if target is not None:
        note(f"written: {target}")
    elif as_json:
        show_json({"schema": "perfmodel.sweep/1", **found.to_dict()})
    else:
        show(_blocks(plan, found))


def _blocks(plan: Plan, found: xr.Dataset) -> list[Block]:
    """Return the result for a terminal: every point, or how many there are of each verdict."""
    from perfmodel.report.blocks import Bullets, Column, Heading, Table
    from perfmodel.report.prediction import machine_line, scenario_lines

    blocks: list[Block] = [Heading(found.attrs["title"], 3), Bullets(scenario_lines(plan.scenario))]
    if "verdict" in plan.variables and plan.size > _SHOWN:
        from perfmodel.sweeping.variables import ANSWERS

        flags = found["verdict"].to_numpy()
        rows = [[a, f"{int((flags == i).sum()):,}"] for i, a in enumerate(ANSWERS)]
        blocks.append(Table([Column("verdict"), Column("points", True)], rows, "of all points"))
    elif plan.size <= _SHOWN:
        blocks.append(_each_point(plan, found))
    said = ["Swept, instead of what is said above: " + ", ".join(a.name for a in plan.axes) + "."]
    said += [f"Costs: {machine_line(machine)}." for machine in plan.machines]
    said += [f"{n:,} points are no scenario: {why}."
             for why, n in json.loads(found.attrs["impossible_reasons"]).items()]  # fmt: skip
    said += [f"{u['policy']}: no answer at {u['points']:,} points: {u['reason']}."
             for u in json.loads(found.attrs["unanswered"])]  # fmt: skip
    said += [f"Outside the region of the stated error for {b['points_and_policies']:,} points and policies: not"
             f" so that {b['not_so_that']}." for b in json.loads(found.attrs["outside_stated_region"])]  # fmt: skip
    said.append(f"Answered by: {found.attrs['answered_by_forms']}.")
    if plan.size > _SHOWN:
        said.append("-o FILE.nc, .zarr or .parquet writes every variable of every point.")
    return [*blocks, Bullets(said)]


def _each_point(plan: Plan, found: xr.Dataset) -> Any:
    """Return a table with a line for each point: the cut that was judged and its gain."""
    from perfmodel.report.blocks import Column, Table
    from perfmodel.report.numbers import probability_text, time_text
    from perfmodel.sweeping.variables import ANSWERS

    policies = [p.value for p in plan.policies]
    columns = [Column(a.name, a.declared is not None) for a in plan.axes]
    flat = {name: found[name].to_numpy().reshape(plan.size, *found[name].shape[len(plan.shape):])
            for name in plan.variables}  # fmt: skip
    judged = {"verdict", "verdict_policy", "net_gain", "p_pays"} <= set(plan.variables)
    if judged:
        columns += [Column("verdict"), Column("cut"), Column("net gain a call", True),
                    Column("from", True), Column("to", True), Column("P(pays)", True)]  # fmt: skip
    rows = []
    for i in range(plan.size):
        place = [i] * len(plan.axes) if plan.zipped else _unravelled(plan, i)
        row = [f"{v:.10g}" if isinstance(v, float) else str(v)
               for v in (a.values[k].item() for a, k in zip(plan.axes, place, strict=True))]  # fmt: skip
        if judged:
            best = int(flat["verdict_policy"][i])
            gain = flat["net_gain"][i, best].reshape(-1)
            low, estimate, high = _interval(gain, plan)
            row += [ANSWERS[flat["verdict"][i]], policies[best], time_text(estimate)]
            row += [time_text(low), time_text(high)] if plan.draws > 1 else ["", ""]
            row.append(probability_text(float(flat["p_pays"][i, best]), plan.draws))
        rows.append(row)
    return Table(
        columns, rows, "the cut with the largest gain, and its 90 % interval" if judged else ""
    )


def _interval(gain: Any, plan: Plan) -> tuple[float, float, float]:
    """Return low, estimate and high of what a variable keeps of one point."""
    import numpy as np

    from perfmodel.sweeping.answers import spread

    if plan.keep_draws and plan.draws > 1:
        gain = spread(np.asarray(gain)[None, None])[0][0, 0]
    low, estimate, high = gain if plan.draws > 1 else (gain[0],) * 3
    return float(low), float(estimate), float(high)


def _unravelled(plan: Plan, i: int) -> list[int]:
    import numpy as np

    return [int(k) for k in np.unravel_index(i, plan.shape)]
