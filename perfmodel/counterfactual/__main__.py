"""``python -m perfmodel.counterfactual``: record a run, or compare one with its predictions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perfmodel.counterfactual.compare import compare_run
from perfmodel.counterfactual.document import load
from perfmodel.counterfactual.predicted import keep, predict_run
from perfmodel.counterfactual.recording import MILLISECONDS, PATIENCE, record
from perfmodel.counterfactual.text import as_json, as_text
from perfmodel.errors import InputError, PerfmodelError

__all__ = ["main"]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m perfmodel.counterfactual", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("record", help="measure this machine (six minutes, best when idle)")
    one.add_argument("file", type=Path, help="the JSON file to write")
    one.add_argument("--milliseconds", type=float, default=MILLISECONDS,
                     help="of each configuration (default %(default)s)")  # fmt: skip
    one.add_argument("--patience", type=float, default=PATIENCE,
                     help="seconds to wait in all for an idle machine (default %(default)s)")  # fmt: skip
    one.add_argument("--force", action="store_true", help="overwrite an existing file")
    two = verbs.add_parser("compare", help="predict a recorded run, keep that beside it, compare")
    two.add_argument("file", type=Path, help="a recorded run")
    two.add_argument("--json", action="store_true", help="everything, for machines")
    two.add_argument("--all", action="store_true", help="every configuration, not the misses alone")
    return parser


def _tell(share: float, what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what} {100 * share:3.0f} %" + ("" if share < 1 else "\n"))
        sys.stderr.flush()


def _record(file: Path, milliseconds: float, patience_s: float, *, force: bool) -> None:
    if file.exists() and not force:
        raise InputError("the file exists", file=file, field="output",
                         expected="a new file, or --force")  # fmt: skip
    record(file, milliseconds=milliseconds, patience_s=patience_s,
           progress=lambda done, total: _tell(done / total, "measuring"))  # fmt: skip
    sys.stdout.write(f"Measured: {file}\nNext: python -m perfmodel.counterfactual compare {file}\n")


def _compare(file: Path, *, json: bool, everything: bool) -> None:
    run = load(file)
    predicted = predict_run(run, progress=lambda share: _tell(share, "predicting"))
    kept = keep(predicted, run, file)
    comparisons = compare_run(run, predicted)
    if json:
        sys.stdout.write(as_json(run, comparisons) + "\n")
        return
    text = as_text(run, comparisons, everything=everything)
    sys.stdout.write(f"{text}\n\nKept: {kept}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return the exit status: 0, or 2 where something given was wrong."""
    given = _arguments().parse_args(arguments)
    try:
        if given.verb == "record":
            _record(given.file, given.milliseconds, given.patience, force=given.force)
        else:
            _compare(given.file, json=given.json, everything=given.all)
    except PerfmodelError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
