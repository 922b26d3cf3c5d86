"""``perfmodel simulate``: every policy's lock simulated, beside the closed form's answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, bar, note, show, show_json
from perfmodel.cli.scenario_options import scenario_from, with_scenario
from perfmodel.cli.values import help_text, number
from perfmodel.errors import InputError
from perfmodel.quantities import Quantity

if TYPE_CHECKING:
    from perfmodel.report.blocks import Block, Cell
    from perfmodel.rwlock import Answer
    from perfmodel.rwlock.simulate import Estimate, SimulationResult
    from perfmodel.scenario import Scenario

NAME = "simulate"
EPILOG = (
    "Examples:\n\nperfmodel simulate --preset mail --calls 3000\n\n"
    "perfmodel simulate --fault-threads 16 --fault-think-us 50 --writer-threads 4 --calls 3000"
    " --corrections kernel --cpus 12 --seed 1"
)

CALLS = Quantity(
    "calls", "calls", "1", (100, 10_000_000), (1_000, 1_000_000),
    "calls to simulate for each policy", "caller", integer=True,
)  # fmt: skip
SEED = Quantity(
    "seed", "seed", "1", (0, 2**31 - 1), (0, 2**31 - 1),
    "seed; all policies meet the same faults, holds and think times", "caller", integer=True,
)  # fmt: skip

#: Written out: the module that declares them needs numpy, and the help must stay quick.
_DISCIPLINES_HELP = "Order of service: rwsem, fifo, reader_preference or writer_preference."

#: What is compared: name in the answer, heading, factor to the unit of the JSON, its name there.
_MEANS = (
    ("wait_mean", "fault wait", 1.0, "fault_wait_ns"),
    ("blocked_share", "blocked", 1.0, "blocked_share"),
    ("acquire", "acquire", 1.0, "acquire_ns"),
    ("fault_rate", "faults/s", 1e9, "faults_per_s"),
    ("call_rate", "calls/s", 1e9, "calls_per_s"),
)


@with_scenario
def command(
    typed: dict[str, Any],
    *,
    calls: Annotated[
        str, typer.Option("--calls", help=help_text(CALLS), metavar="NUMBER")
    ] = "20000",
    seed: Annotated[str, typer.Option("--seed", help=help_text(SEED), metavar="NUMBER")] = "0",
    discipline: Annotated[str, typer.Option("--discipline", help=_DISCIPLINES_HELP)] = "rwsem",
    corrections: Annotated[
        str,
        typer.Option(
            "--corrections",
            help="What the kernel does beyond the order of service: none, kernel (all), or some of"
            " sleep, spin, steal, handoff, separated by commas. With none the question is the one that"
            " the closed form answers.",
        ),
    ] = "none",
    as_json: JsonOption = False,
) -> None:
    """Simulate the lock under every policy and hold the closed form against it.

    Each mean has its 95 % interval; z is the distance of the closed form in standard errors. The
    machine's constants are the central estimates. Closed populations share the CPUs of --cpus. Needs
    the simulate extra (numba), which compiles the event loop before its first run: some 20 s.
    """
    count = int(number(calls, CALLS, "--calls"))
    start = int(number(seed, SEED, "--seed"))
    from perfmodel.rwlock.lock import DISCIPLINES

    if discipline not in DISCIPLINES:
        raise InputError(f"there is no discipline {discipline!r}", field="--discipline",
                         expected="one of " + ", ".join(DISCIPLINES))  # fmt: skip
    scenario = scenario_from(typed)
    runs = _runs(scenario, count, start, discipline, corrections)
    if as_json:
        show_json(_document(scenario, runs, count, start, discipline, corrections))
    else:
        show(_blocks(scenario, runs, count))


def _runs(
    scenario: Scenario, calls: int, seed: int, discipline: str, corrections: str
) -> dict[str, tuple[SimulationResult, Answer | None]]:
    from perfmodel.crosscheck import central_locks
    from perfmodel.rwlock import solve
    from perfmodel.rwlock.simulate import Corrections, simulate

    try:
        switched = Corrections.parse(corrections)
        locks = central_locks(scenario, discipline=discipline, told=note)
        runs: dict[str, tuple[SimulationResult, Answer | None]] = {}
        with bar("simulating") as progress:
            for i, (name, lock) in enumerate(locks.items()):
                result = simulate(
                    lock, calls=calls, seed=seed, corrections=switched,
                    progress=lambda share, i=i: progress((i + share) / len(locks)),  # type: ignore[misc]
                )  # fmt: skip
                known = discipline in ("rwsem", "fifo")
                runs[name] = result, solve(lock) if known else None
    except InputError as error:
        field = f"--{error.field}" if error.field in ("calls", "corrections") else error.field
        raise InputError(error.what, field=field, expected=error.expected) from None
    return runs


def _closed(answer: Answer | None, name: str) -> float:
    return math.nan if answer is None else float(getattr(answer, name).reshape(-1)[0])


def _z(closed: float, estimate: Estimate) -> float:
    return (closed - estimate.mean) / estimate.error if estimate.error > 0 else math.nan


def _document(
    scenario: Scenario, runs: dict[str, tuple[SimulationResult, Answer | None]],
    calls: int, seed: int, discipline: str, corrections: str,
) -> dict[str, Any]:  # fmt: skip
    policies = []
    for name, (run, answer) in runs.items():
        entry: dict[str, Any] = {"policy": name, "calls": run.calls, "faults": run.faults,
                                 "events": run.events}  # fmt: skip
        for field, _, factor, key in _MEANS:
            e, closed = run.estimates[field], _closed(answer, field)
            entry[key] = {
                "simulated": e.mean * factor, "half_width": e.half_width * factor, "level": 0.95,
                "closed_form": closed * factor, "z": _z(closed, e),
                "ratio": closed / e.mean if e.mean else math.nan,
            }  # fmt: skip
        entry["fault_wait_quantiles_ns"] = {
            f"p{100 * q:g}": {"simulated": e.mean, "half_width": e.half_width}
            for q, e in run.quantiles.items()
        }
        entry["solver"], entry["warnings"] = run.answer.solver, list(run.answer.broken)
        entry["closed_form"] = answer and {
            "solver": answer.solver, "stated_error": answer.stated_error,
            "broken": list(answer.broken),
        }  # fmt: skip
        policies.append(entry)
    return {
        "schema": "perfmodel.simulation/1", "scenario": scenario.to_dict(), "calls": calls,
        "seed": seed, "discipline": discipline, "corrections": corrections, "policies": policies,
    }  # fmt: skip


def _blocks(
    scenario: Scenario, runs: dict[str, tuple[SimulationResult, Answer | None]], calls: int
) -> list[Block]:
    from perfmodel.report.blocks import Bullets, Column, Heading, Table
    from perfmodel.report.numbers import number_text
    from perfmodel.report.prediction import machine_line, scenario_lines, scenario_title

    rows: list[list[Cell]] = []
    said = [f"Costs: {machine_line(scenario.machine)}; central estimates.",
            f"{calls} calls a policy after the warm-up; every policy meets the same draws."]  # fmt: skip
    for name, (run, answer) in runs.items():
        for i, (field, heading, _, _) in enumerate(_MEANS):
            e, closed = run.estimates[field], _closed(answer, field)
            ratio = closed / e.mean if e.mean else math.nan
            rows.append([
                name if i == 0 else "", heading, _put(field, e.mean),
                f"±{100 * e.half_width / e.mean:.2g} %" if e.mean else "",
                "n/a" if math.isnan(closed) else _put(field, closed),
                "" if math.isnan(ratio) else number_text(ratio, 3),
                "" if math.isnan(_z(closed, e)) else f"{_z(closed, e):+.1f}",
            ])  # fmt: skip
        said += [f"{name}: simulation: {why}." for why in run.answer.broken]
        broken = answer.broken if answer else ()
        said += [f"{name}: closed form: not so that {why}." for why in broken]
    solvers = {r.answer.solver for r, _ in runs.values()}
    said += [f"Simulated by: {s}." for s in sorted(solvers)]
    errors = {f"{a.solver}; stated error: {a.stated_error}" for _, a in runs.values() if a}
    said += [f"Closed form: {e}." for e in sorted(errors)]
    columns = [
        Column("policy"), Column("mean of"), Column("simulated", True), Column("95 %", True),
        Column("closed form", True), Column("ratio", True), Column("z", True),
    ]  # fmt: skip
    caption = "ratio: closed form over simulated; z: their distance in standard errors"
    return [Heading(scenario_title(scenario), 3), Bullets(scenario_lines(scenario)),
            Table(columns, rows, caption), Bullets(said)]  # fmt: skip


def _put(field: str, value: float) -> str:
    from perfmodel.report.numbers import number_text, share_text, time_text

    if field == "blocked_share":
        return share_text(value)
    if field.endswith("rate"):
        return number_text(1e9 * value, 4)
    return time_text(value, 4) if math.isfinite(value) else "unbounded"
