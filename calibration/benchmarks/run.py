"""All benches from one command, in one run: results as JSON, then the table and the figure made from them.

    python calibration/benchmarks/run.py [--line PYTHON] [--quick] [--only SECTION] [-o results.json]

``--quick`` only proves that everything runs. What is measured and how: README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import growth
import predictions
import queues
import shown
import solvers
import starting
import tracelines
from measuring import machine_state, steal_ticks

SCHEMA = "perfmodel.benchmarks/1"
HERE = Path(__file__).parent

Rows = list[dict[str, Any]]


def _sections(line: Path | None, quick: bool, missed: list[str]) -> dict[str, Callable[[], Rows]]:
    """Return the sections; each gives its comparisons."""

    def peers() -> Rows:
        found, lacking = queues.measured(line, 2 if quick else 5)
        missed.extend(lacking)
        return found

    rounds = 2 if quick else 5
    return {
        "prediction": lambda: predictions.measured(rounds),
        "chain": lambda: solvers.chain(rounds),
        "equal error": lambda: solvers.equal_error(2 if quick else 3),
        "simulation": lambda: solvers.simulators(rounds, 500 if quick else 3000),
        "queue": peers,
        "trace": lambda: tracelines.measured(2 if quick else 3, 50_000 if quick else 500_000),
        "start": lambda: starting.measured(2 if quick else 5),
    }


def main() -> int:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--line", type=Path, help="interpreter of an environment with line-solver")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", help="one section; may be given again")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results.json")
    given = parser.parse_args()
    begun, state, missed = time.perf_counter(), machine_state(), []  # type: ignore[var-annotated]
    results: dict[str, Any] = {"schema": SCHEMA, "state": state, "comparisons": [], "chain": []}
    for name, run in _sections(given.line, given.quick, missed).items():
        if given.only and name not in given.only:
            continue
        since = time.perf_counter()
        results["chain" if name == "chain" else "comparisons"].extend(run())
        sys.stderr.write(f"{name}: {time.perf_counter() - since:.0f} s\n")
    since = time.perf_counter()
    if not given.only or "growth" in given.only:
        results["growth"] = growth.measured()
        sys.stderr.write(f"growth: {time.perf_counter() - since:.0f} s\n")
    state["steal_ticks_during"] = steal_ticks() - state.pop("steal_ticks")
    state["load_average_after"] = list(os.getloadavg())
    state["seconds"] = time.perf_counter() - begun
    results["not_run"] = missed
    with tempfile.NamedTemporaryFile(
        "w", dir=given.output.parent, suffix=".json", delete=False
    ) as out:
        out.write(json.dumps(results, indent=1) + "\n")
    Path(out.name).chmod(0o644)
    Path(out.name).replace(given.output)
    sys.stdout.write(shown.table(results) + "\n")
    if given.output == HERE / "results.json":
        shown.write(shown.load())
    return 0


if __name__ == "__main__":
    sys.exit(main())
