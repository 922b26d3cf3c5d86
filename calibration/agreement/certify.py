"""Certify the grid of lock questions by simulation and chain, and map the closed forms' errors.

    python calibration/agreement/certify.py            # about four minutes on one core; needs numba
    python calibration/agreement/certify.py --map      # the error map alone, from what is certified

Writes ``certified.csv`` (a row a question) and ``error_map.csv`` beside itself. Everything is seeded:
the same versions give the same files. Simulated, not measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from perfmodel.rwlock.agreement import (
    MEANS,
    QUANTILES,
    Question,
    closed_form_errors,
    error_map,
    exponential,
    questions,
)
from perfmodel.rwlock.markov import solve_chain
from perfmodel.rwlock.simulate import Law, simulate

HERE = Path(__file__).resolve().parent
CERTIFIED, MAP = HERE / "certified.csv", HERE / "error_map.csv"

#: Events of one simulation, and calls at most.
EVENTS, CALLS = 3_000_000, 60_000

#: Laws of the holds in the chain of one stage.
ALL_EXPONENTIAL = {"exclusive": Law("exponential"), "shared": Law("exponential")}


def certify(question: Question) -> dict[str, float | str]:
    """Return what the simulation and the chain say, by column."""
    lock, row = question.lock, {"question": question.name}
    laws = {"constant": {}}
    if exponential(lock):
        laws["exponential"] = ALL_EXPONENTIAL
        answer = solve_chain(lock, stages=1, levels=())
        for name in MEANS:
            row[f"chain_{name}"] = float(getattr(answer, name)[0])
    for law, holds in laws.items():
        result = simulate(lock, calls=CALLS, seed=question.number, holds=holds, max_events=EVENTS)
        for name in MEANS:
            row[f"{law}_{name}"] = result.estimates[name].mean
            row[f"{law}_{name}_se"] = result.estimates[name].error
        if law == "constant":
            for column, level in QUANTILES.items():
                row[f"{law}_{column}"] = result.quantiles[level].mean
                row[f"{law}_{column}_se"] = result.quantiles[level].error
            row["steady"] = not any("no steady state" in why for why in result.answer.broken)
    return row


def main() -> int:
    """Certify, map, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--map", action="store_true", help="only the error map")
    given = parser.parse_args()
    asked = questions()
    if not given.map:
        rows = []
        for place, question in enumerate(asked):
            rows.append(certify(question))
            sys.stderr.write(f"\r{place + 1} of {len(asked)}")
        sys.stderr.write("\n")
        pd.DataFrame(rows).set_index("question").to_csv(CERTIFIED, float_format="%.9g")
    certified = pd.read_csv(CERTIFIED, index_col="question")
    error_map(closed_form_errors(certified, asked)).to_csv(MAP, index=False, float_format="%.4g")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
