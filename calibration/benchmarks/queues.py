"""The closed queue of the lock's cache line: our closed form beside LINE's MVA and Ciw's simulation."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import ciw
import numpy as np
from measuring import compared

from perfmodel.equations.cacheline import line_throughput

__all__ = ["measured", "with_ciw"]

#: CPUs, time between two passes and time of one pass at the line, ns.
CPUS, THINK, SERVICE = 48, 1000.0, 30.0

#: Passes that a round of Ciw simulates.
PASSES = 20_000


def ours(count: int = 1) -> float:
    """Return the passes per ns, computed so many times in one call."""
    think = np.full(count, THINK)
    return float(line_throughput(float(CPUS), think, 1.0, np.full(count, SERVICE))[0])


def with_ciw(passes: int, seed: int) -> float:
    """Simulate about so many passes; return how many come per ns."""
    ciw.seed(seed)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential([0.0] * CPUS + [float("inf")]), None],
        service_distributions=[ciw.dists.Exponential(1 / THINK), ciw.dists.Exponential(1 / SERVICE)],
        routing=[[0.0, 1.0], [1.0, 0.0]],
        number_of_servers=[float("inf"), 1],
    )  # fmt: skip
    simulation, until = ciw.Simulation(network), passes * SERVICE
    simulation.simulate_until_max_time(until)
    done = [r.exit_date for r in simulation.get_all_records() if r.node == 2]
    # The first tenth fills the queue.
    return sum(date > 0.1 * until for date in done) / (0.9 * until)


def measured(line_python: Path | None, rounds: int = 5) -> tuple[list[dict[str, Any]], list[str]]:
    """Time all on the same queue; stop if they do not agree.

    Parameters
    ----------
    line_python : Path or None
        Interpreter of an environment that has LINE.
    rounds : int

    Returns
    -------
    list of dict, list of str
        The comparisons, and what could not be run and why.
    """
    exact, many, missed = ours(), 200, []
    process = None
    if line_python is not None and line_python.exists():
        process = subprocess.Popen(
            [line_python, Path(__file__).with_name("line_peer.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
    else:
        missed.append("LINE's MVA: no environment with line-solver was given (--line)")
    rates: dict[str, list[float]] = {"ours": [], "LINE": [], "Ciw": []}
    found_by_ciw = []
    for turn in range(rounds + 1):
        begun = time.process_time()
        for _ in range(many):
            ours()
        spent = [time.process_time() - begun]
        if process is not None and process.stdin and process.stdout:
            process.stdin.write(json.dumps([CPUS, THINK, SERVICE]) + "\n")
            process.stdin.flush()
            told = json.loads(process.stdout.readline())
            if not abs(told["throughput"] / exact - 1.0) < 1e-4:  # its table has five digits
                raise RuntimeError(f"LINE finds {told['throughput']}, we {exact}")
            spent.append(told["seconds"])
        begun = time.process_time()
        passed = with_ciw(PASSES, turn)
        seconds = time.process_time() - begun
        if turn == 0:
            continue  # everybody compiles and loads once
        found_by_ciw.append(passed)
        rates["ours"].append(many / spent[0])
        rates["Ciw"].append(1 / seconds)
        if process is not None:
            rates["LINE"].append(1 / spent[1])
    if process is not None and process.stdin:
        process.stdin.close()
        process.wait(timeout=60)
    spread = statistics.stdev(found_by_ciw) / exact
    if not abs(statistics.mean(found_by_ciw) / exact - 1.0) < 4.5 * spread / rounds**0.5 + 1e-3:
        raise RuntimeError(f"Ciw finds {statistics.mean(found_by_ciw):.5g}, we {exact:.5g}")
    what = f"closed queue of the line, {CPUS} CPUs, one answer"
    found = [compared("queue", what, f"Ciw, {PASSES:,} passes, error {spread:.1%}", "answers/s",
                      rates["ours"], rates["Ciw"])]  # fmt: skip
    if rates["LINE"]:
        found.insert(0, compared("queue", what, "LINE, exact MVA (its Python engine)", "answers/s",
                                 rates["ours"], rates["LINE"]))  # fmt: skip
    return found, missed
