"""How fast full predictions are made over a grid, what the parts cost, and a sweep written to disk.

Every rate is points a second of CPU time on one core, and every ratio is of one run: the machine's own
speed drops out of it. A full prediction is that of five policies: holds, waits with three quantiles,
throughputs, net gain and verdict.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import perfmodel as pm
from perfmodel.sweeping.axes import axis_of
from perfmodel.sweeping.evaluate import evaluate
from perfmodel.sweeping.files import write_zarr
from perfmodel.sweeping.plan import Plan, make_plan

FIVE = tuple(pm.Policy.parse("none,last-vma,before-flush,every-vma,read-only"))

#: Fault rates and pauses of the caller, per second and us: where processes live, and everywhere.
GRIDS = {"usual": ((10, 1e5), (100, 1e5)), "extreme": ((10, 5e6), (1, 1e5))}

#: What a large sweep would keep.
KEPT = ("net_gain", "verdict", "verdict_policy", "inside_stated_region")


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def planned(scenario: pm.Scenario, grid: str, points: int, **how: object) -> Plan:
    """Return a sweep of about so many points: sizes, fault rates and pauses."""
    rates, pauses = GRIDS[grid]
    side = max(2, round((points / 40) ** 0.5))
    pages = np.unique(np.round(np.geomspace(1, 65536, 40)))
    axes = [axis_of("writer_think_us", np.geomspace(*pauses, side)),
            axis_of("fault_rate", np.geomspace(*rates, max(2, round(points / side / len(pages))))),
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


def write(scenario: pm.Scenario, points: int, workers: int) -> None:
    """Write a sweep to disk, print throughput, room and peak memory, and what 10^9 points would take."""
    plan = planned(scenario, "usual", points, variables=KEPT, single=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep.zarr"
        begun, spent = time.perf_counter(), time.process_time()
        write_zarr(plan, path, workers=workers)
        seconds, spent = time.perf_counter() - begun, time.process_time() - spent
        room = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    say(f"written: {plan.size:,} points in {plan.blocks} blocks, {seconds:.1f} s ({spent:.1f} s of CPU time),"
        f" {workers} threads; {plan.size / seconds:,.0f} points/s")  # fmt: skip
    say(f"room: {room / 2**20:,.0f} MiB, {room / plan.size:.2g} bytes a point"
        f" of {plan.bytes_per_point} not compressed; peak memory {peak:.2f} GiB")  # fmt: skip
    times = 1e9 / plan.size
    say(f"10^9 points at this rate: {seconds * times / 60:,.0f} minutes,"
        f" {room * times / 2**30:,.1f} GiB, {round(plan.blocks * times):,} blocks")  # fmt: skip


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--points", type=float, default=1e6, help="points of the sweep written; 0: none"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    scenario = pm.Scenario(machine="xeon-vm-6.18", policies=FIVE)
    compare(scenario, given.rounds)
    if given.points:
        write(scenario, int(given.points), given.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
