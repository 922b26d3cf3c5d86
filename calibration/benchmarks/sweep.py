"""How fast predictions are made over grids and fleets, what the parts cost, and a sweep written to disk.

Every rate is points a second of CPU time on one core, and every ratio is of one run: the machine's own
speed drops out of it. A full prediction is that of five policies: holds, waits with three quantiles,
throughputs, net gain and verdict.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

import perfmodel as pm
from perfmodel.fleet.profiles import profiles_of
from perfmodel.sweeping.axes import axis_of
from perfmodel.sweeping.evaluate import evaluate
from perfmodel.sweeping.files import shaped
from perfmodel.sweeping.plan import Plan, make_plan
from perfmodel.sweeping.runners import usable_cpus
from perfmodel.sweeping.store import write_zarr
from perfmodel.sweeping.variables import ANSWERS

FIVE = tuple(pm.Policy.parse("none,last-vma,before-flush,every-vma,read-only"))

#: Fault rates and pauses of the caller, per second and us: where processes live, and everywhere.
GRIDS = {"usual": ((10, 1e5), (100, 1e5)), "extreme": ((10, 5e6), (1, 1e5))}

#: What the sweep that is written compares, the cut of the mail with none, and what is kept of it.
TWO = tuple(pm.Policy.parse("none,last-vma"))
KEPT = ("net_gain", "verdict", "verdict_policy", "inside_stated_region")


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def planned(scenario: pm.Scenario, grid: str, points: int, **how: object) -> Plan:
    """Return a sweep of so many points or a few more: sizes, fault rates and pauses."""
    rates, pauses = GRIDS[grid]
    side = max(2, round((points / 40) ** 0.5))
    pages = np.unique(np.round(np.geomspace(1, 65536, 40)))
    axes = [axis_of("writer_think_us", np.geomspace(*pauses, side)),
            axis_of("fault_rate", np.geomspace(*rates, max(2, math.ceil(points / side / len(pages))))),
            axis_of("pages", pages)]  # fmt: skip
    return make_plan(scenario, axes, **{"draws": 1, **how})  # type: ignore[arg-type]


def rate_of(plan: Plan, loop: bool, rounds: int) -> float:
    """Return points a second of CPU time, the best of some rounds."""
    block = plan.block(0)
    best = np.inf
    for _ in range(rounds):
        begun = time.process_time()
        evaluate(plan, block, loop=loop)
        best = min(best, time.process_time() - begun)
    return block.size / best


def compare(scenario: pm.Scenario, rounds: int) -> None:
    """Print the rates of the loop, of arrays and of single predictions, and what the parts take."""
    begun = time.process_time()
    evaluate(planned(scenario, "usual", 100), planned(scenario, "usual", 100).block(0), loop=True)
    say(f"compiling the loop: {time.process_time() - begun:.1f} s of CPU time, once a process")
    for grid in GRIDS:
        full = planned(scenario, grid, 120_000)
        rates = {
            "full prediction, loop": rate_of(full, True, rounds),
            "without quantiles": rate_of(planned(scenario, grid, 120_000, levels=()), True, rounds),
            "net gain and verdict": rate_of(
                planned(scenario, grid, 120_000, variables=KEPT), True, rounds
            ),
            "full prediction, arrays": rate_of(planned(scenario, grid, 400), False, 1),
        }
        few = planned(scenario, grid, 400)
        begun, count = time.process_time(), 12
        for i in range(count):
            place = np.unravel_index(i * 7 % few.size, few.shape)
            point = {a.name: few.value(a, int(k)) for a, k in zip(few.axes, place, strict=True)}
            pm.predict(few.placed(point), draws=1, solver="closed", guards=False)
        rates["predict, point by point"] = count / (time.process_time() - begun)
        reference = rates["full prediction, loop"]
        for name, rate in rates.items():
            say(f"{grid:8} {name:26} {rate:12,.0f} points/s  {rate / reference:8.2g} of the loop")
    drawn = planned(scenario, "usual", 4000, draws=100)
    say(f"usual    with 100 draws and intervals {rate_of(drawn, True, rounds):9,.0f} points/s")


def fleet_of(machine: pm.Machine, count: int) -> list[pm.Machine]:
    """Return profiles like one, their constants moved by about a third."""
    chance = np.random.default_rng(0)
    moved = [np.exp(0.3 * chance.standard_normal(len(machine.constants))) for _ in range(count)]
    return [
        replace(machine, name=f"host-{i}", constants={
            name: c if c.value is None else msgspec.structs.replace(c, value=c.value * float(by))
            for (name, c), by in zip(machine.constants.items(), factors, strict=True)
        })
        for i, factors in enumerate(moved)
    ]  # fmt: skip


def timed(work: Callable[[], object]) -> float:
    """Return the CPU time of some work, s."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def compare_fleet(scenario: pm.Scenario, count: int) -> None:
    """Print what a fleet of profiles costs against one prediction after another."""
    fleet = fleet_of(scenario.machine, count)
    few = fleet[:10]
    how = {"draws": 100, "workers": 1}
    pm.compare(fleet, scenario, **how)  # compiles
    each = {
        "predict, one after another": timed(
            lambda: [pm.predict(scenario.replace(machine=m), draws=100, levels=(), solver="closed",
                                guards=False) for m in few]) / len(few),
        "break_even, one after another": timed(
            lambda: [pm.break_even(scenario.replace(machine=m), "fault_rate", solver="closed")
                     for m in few[:2]]) / 2,
        "compare": timed(lambda: pm.compare(fleet, scenario, **how)) / count,
        "compare over fault_rate": timed(
            lambda: pm.compare(fleet, scenario, over="fault_rate", **how)) / count,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.parquet"
        pm.compare(fleet, scenario, **how, path=path)
        each["reading a profile from a table"] = timed(lambda: list(profiles_of([path]))) / count
        for machine in few:
            machine.save(Path(folder) / f"{machine.name}.json")
        each["reading a profile's own file"] = timed(lambda: list(profiles_of([folder]))) / len(few)
    for name, seconds in each.items():
        say(f"fleet    {name:32} {1e3 * seconds:9.3g} ms a profile"
            f"  {seconds / each['compare']:8.2g} of compare")  # fmt: skip


def spent_waiting(process: int) -> float:
    """Return seconds that the threads of a process were ready to run and had no CPU."""
    waited = 0
    for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
        try:
            waited += int(task.read_text().split()[1])
        except OSError:
            continue  # the thread has ended
    return waited * 1e-9


@dataclass
class Run:
    """One process that writes a sweep, to its end or to its death.

    Parameters
    ----------
    seconds, paused : float
        Wall clock, and how much of it this program was stopped itself (SIGSTOP): that is not in it.
    cpu, waited : float
        CPU time, and time that its threads waited for a CPU: for others on a busy machine.
    peak : float
        Largest resident memory, GiB.
    written : float
        Given to the disk by the kernel meanwhile, GiB.
    """

    seconds: float = 0.0
    paused: float = 0.0
    cpu: float = 0.0
    waited: float = 0.0
    peak: float = 0.0
    written: float = 0.0


def journal_of(path: Path) -> set[int]:
    """Return the blocks of an unfinished store that are whole."""
    journal = path.with_name(path.name + ".unfinished") / "journal"
    if not journal.exists():
        return set()
    lines = journal.read_bytes().split(b"\n")[:-1]
    return {int(json.loads(line)["part"]) for line in lines}


def run_until(plan_file: Path, path: Path, workers: int, blocks: int | None) -> Run:
    """Write a sweep in a process of its own; kill it, if asked, when so many blocks are whole."""
    words = [
        sys.executable,
        __file__,
        "--write",
        str(plan_file),
        str(path),
        "--workers",
        str(workers),
    ]
    run, poll, ticks = Run(), 0.5, 0
    begun = before = time.perf_counter()
    # Not subprocess: what the process has used is told by wait4 alone.
    child = os.posix_spawn(sys.executable, words, dict(os.environ))
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        time.sleep(poll)
        now = time.perf_counter()
        # Who sleeps half a second and wakes much later was stopped; the child stands in its group.
        run.paused += max(0.0, now - before - 10 * poll)
        before, ticks = now, ticks + 1
        if ticks % 4 == 0:
            run.waited = max(run.waited, spent_waiting(child))
        if blocks is not None and ticks % 10 == 0 and len(journal_of(path)) >= blocks:
            os.kill(child, signal.SIGKILL)
            blocks = None
    run.seconds = time.perf_counter() - begun - run.paused
    if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
        raise SystemExit(f"the sweep ended with status {os.waitstatus_to_exitcode(status)}")
    run.cpu = usage.ru_utime + usage.ru_stime
    run.peak = usage.ru_maxrss / 2**20
    run.written = usage.ru_oublock * 512 / 2**30
    return run


def chunk_times(folder: Path) -> dict[str, int]:
    """Return when every chunk of a store was written last."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns
            for p in folder.glob("*/c/**/*") if p.is_file()}  # fmt: skip


def write(plan: Plan, folder: Path, workers: int, *, kill: bool) -> None:
    """Write a sweep to disk, killed half-way and gone on with; print what it took and check it."""
    import xarray as xr

    path, question = folder / "sweep.zarr", folder / "plan.json"
    question.write_text(plan.document())
    say(f"writing {plan.size:,} points in {plan.blocks:,} blocks, {workers} workers,"
        f" {plan.size * plan.bytes_per_point / 2**30:.3g} GiB not compressed")  # fmt: skip
    runs, kept, done = [], {}, set()
    if kill:
        runs.append(run_until(question, path, workers, plan.blocks // 2))
        done = journal_of(path)
        names = {"/".join(["c", *map(str, np.unravel_index(i, plan.blocks_along))]) for i in done}
        room = path.with_name(path.name + ".unfinished") / "data"
        kept = {name: at for name, at in chunk_times(room).items()
                if "/".join(name.split("/")[1 : 2 + len(plan.blocks_along)]) in names}  # fmt: skip
        say(f"killed (SIGKILL) with {len(done):,} of {plan.blocks:,} blocks whole,"
            f" {runs[0].seconds:.0f} s after its start")  # fmt: skip
    runs.append(run_until(question, path, workers, None))
    again = sum(chunk_times(path).get(name) != at for name, at in kept.items())
    if kill:
        say(f"gone on: {again} of the {len(kept):,} chunks of whole blocks were written again")
    seconds, cpu, waited = (sum(getattr(r, n) for r in runs) for n in ("seconds", "cpu", "waited"))
    room = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    say(f"wall {seconds:.0f} s (besides, stopped for {sum(r.paused for r in runs):.0f} s);"
        f" CPU {cpu:.0f} s, {1e9 * cpu / plan.size:.0f} ns a point; its threads waited {waited:.0f} s for a"
        f" CPU that others had; {cpu / seconds:.2f} CPUs busy, {plan.size / seconds:,.0f} points/s")  # fmt: skip
    say(f"peak resident memory {max(r.peak for r in runs):.2f} GiB; on disk {room / 2**30:.2f} GiB,"
        f" {room / plan.size:.3g} bytes a point of {plan.bytes_per_point}")  # fmt: skip
    found = xr.open_dataset(path, engine="zarr", consolidated=False, chunks=None)
    chance = np.random.default_rng(0)
    asked = sorted({int(i) for i in chance.integers(plan.blocks, size=5)})
    for block in map(plan.block, asked):
        for name, part in shaped(plan, block, evaluate(plan, block)).items():
            place = dict(zip(plan.dims, block.slices, strict=True))
            if not np.array_equal(found[name].isel(place).to_numpy(), part, equal_nan=True):
                raise SystemExit(
                    f"block {block.index} of the store is not what is computed: {name}"
                )
    answers = np.sum([np.bincount(found["verdict"][i].to_numpy().ravel(), minlength=len(ANSWERS))
                      for i in range(plan.shape[0])], axis=0)  # fmt: skip
    say(f"blocks {', '.join(map(str, asked))} computed again: the same numbers; verdicts: "
        + ", ".join(f"{a} {n:,}" for a, n in zip(ANSWERS, answers, strict=True)))  # fmt: skip
    if again or answers.sum() != plan.size or answers[0]:
        raise SystemExit("chunks were written again, or points have no answer")


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--points", type=float, default=1e6, help="points of the sweep written; 0: none"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profiles", type=int, default=500, help="of the fleet that is compared")
    parser.add_argument("--workers", type=int, default=usable_cpus())
    parser.add_argument(
        "--only-write", action="store_true", help="no rates, only the sweep written"
    )
    parser.add_argument("--kill", action="store_true", help="kill the writing half-way, and go on")
    parser.add_argument(
        "--folder", type=Path, help="where there is room for it; emptied afterwards"
    )
    parser.add_argument("--resume", type=Path, metavar="FOLDER",
                        help="go on in the folder that a stopped run of so many points has left")  # fmt: skip
    parser.add_argument("--write", nargs=2, type=Path, metavar=("PLAN", "STORE"),
                        help="write one planned sweep, and nothing else")  # fmt: skip
    given = parser.parse_args()
    if given.write:
        question, path = given.write
        write_zarr(Plan.from_document(question.read_text()), path, workers=given.workers)
        return 0
    scenario = pm.Scenario(machine="xeon-vm-6.18", policies=FIVE)
    if not given.only_write:
        compare(scenario, given.rounds)
        compare_fleet(scenario, given.profiles)
    if given.points:
        asked = scenario.replace(policies=TWO)
        plan = planned(asked, "usual", int(given.points), variables=KEPT, single=True)
        folder = given.resume or Path(tempfile.mkdtemp(dir=given.folder))
        free = shutil.disk_usage(folder).free
        if plan.size * plan.bytes_per_point > free / 2:
            raise SystemExit(f"{free / 2**30:.0f} GiB are free in {folder}: fewer --points")
        # Left where it is if this program is killed: --resume goes on with it.
        write(plan, folder, given.workers, kill=given.kill)
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
