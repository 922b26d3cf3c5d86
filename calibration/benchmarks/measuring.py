"""How everything is timed here: in one run, in turn, as ratios; and what the machine was doing."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["compared", "exponent", "in_turn", "machine_state", "quotient", "spread", "steal_ticks"]

#: Packages whose version decides a speed.
PACKAGES = ("perfmodel", "numpy", "scipy", "sympy", "numba", "xarray", "simpy", "ciw", "cimba")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and largest."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def quotient(over: Sequence[float], under: Sequence[float]) -> dict[str, float]:
    """Return the spread of the ratios of what was measured side by side."""
    return spread([a / b for a, b in zip(over, under, strict=True)])


def in_turn(
    programs: Mapping[str, Callable[[], Any]], rounds: int, clock: Callable[[], float] | None = None
) -> dict[str, list[float]]:
    """Run all programs in turn, again and again; return the seconds of each.

    A machine that slows down for a while slows all of them. Each runs once before the clock does.
    """
    clock = clock or time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for run in programs.values():
        run()
    for turn in range(rounds):
        names = list(programs)
        # Whoever runs first differs from round to round.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            begun = clock()
            programs[name]()
            seconds[name].append(max(clock() - begun, 1e-9))
    return seconds


def compared(
    section: str, what: str, peer: str, unit: str, ours: Sequence[float], theirs: Sequence[float]
) -> dict[str, Any]:
    """Return one comparison: rates of both, and the ratio ours over the peer's, round by round."""
    return {
        "section": section, "what": what, "peer": peer, "unit": unit, "rounds": len(ours),
        "ours": spread(ours), "theirs": spread(theirs), "ratio": quotient(ours, theirs),
    }  # fmt: skip


def exponent(size: Sequence[float], cost: Sequence[float], level: float = 0.95) -> dict[str, float]:
    """Fit cost = constant * size^exponent by least squares in the logarithms.

    Returns
    -------
    dict
        The exponent with its interval (Student's t), and the constant.
    """
    fit = stats.linregress(np.log(size), np.log(cost))
    half = float(stats.t.ppf(0.5 + level / 2, len(size) - 2)) * float(fit.stderr)
    return {
        "exponent": float(fit.slope), "low": float(fit.slope) - half,
        "high": float(fit.slope) + half, "constant": float(np.exp(fit.intercept)), "level": level,
    }  # fmt: skip


def steal_ticks() -> int:
    """Return the ticks that the hypervisor gave to others since boot."""
    return int(Path("/proc/stat").read_text().splitlines()[0].split()[8])


def _commit() -> str:
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + changed


def machine_state() -> dict[str, Any]:
    """Return what a speed hangs on besides the program."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except ModuleNotFoundError:
            continue
    return {
        "cpu": model or platform.processor(), "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(), "python": platform.python_version(), "packages": installed,
        "commit": _commit(), "load_average": list(os.getloadavg()), "steal_ticks": steal_ticks(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip
