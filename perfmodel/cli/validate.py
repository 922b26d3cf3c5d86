"""``perfmodel validate``: a profile against a run that it was not fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, note, show, show_json, stages
from perfmodel.cli.values import help_text, number
from perfmodel.errors import InputError
from perfmodel.quantities import Quantity
from perfmodel.validation.limits import COVERAGE, KINDS, THRESHOLDS

NAME = "validate"
EPILOG = (
    "Examples: perfmodel validate xeon-vm-6.18 run-2.json run-2.json.trace.txt.gz;"
    " perfmodel validate xeon-vm-6.18 run-2.json --without-munmap run-1.json"
)

DRAWS = Quantity(
    "draws", "draws", "1", (10, 5000), (10, 5000),
    "draws of the machine's constants behind the intervals", "caller", integer=True,
)  # fmt: skip
LIMIT = Quantity(
    "threshold",
    "threshold",
    "1",
    (0, 10),
    (0.01, 0.5),
    "largest median error that passes",
    "caller",
)
SHARE = Quantity(
    "coverage", "coverage", "1", (0, 1), (0.5, 0.95),
    "smallest share of the numbers within their 90 % interval that passes", "caller",
)  # fmt: skip


def command(
    profile: Annotated[
        str, typer.Argument(help="A shipped profile's name or a profile's file.")
    ],
    data: Annotated[
        list[Path], typer.Argument(help="Files and folders of a run that the fit has not seen.")
    ],
    *,
    kernel: Annotated[
        str | None, typer.Option("--kernel", help="Release, for files that do not say it.")
    ] = None,
    without_munmap: Annotated[
        list[Path] | None,
        typer.Option("--without-munmap", metavar="RUN", help="Instead of the profile's own constants"
                     " take those fitted to this run without munmap and madvise, and predict munmap's"
                     " exclusive part and whom it blocks; may be repeated."),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", metavar="KIND=NUMBER", help="Largest median error of an operation"
                     " that passes, for one kind; may be repeated. Default: "
                     + ", ".join(f"{k}={v:g}" for k, v in THRESHOLDS.items()) + "."),
    ] = None,
    coverage: Annotated[
        str, typer.Option("--coverage", metavar="NUMBER", help=help_text(SHARE))
    ] = f"{COVERAGE:g}",
    draws: Annotated[str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")] = "100",
    figure: Annotated[
        Path | None,
        typer.Option("--figure", metavar="DIR", help="Draw it into this folder, too."),
    ] = None,
    brief: Annotated[
        bool, typer.Option("--brief", help="Print the answer and the summary only.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="List every measured number.")] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Predict what a separate run measured, from the profile alone, and show both.

    Latencies of calls, traced holds, what faults met that began while a caller worked (share blocked,
    quantiles of their latency), faults and calls a second. Exit status 1 if a stated threshold is
    missed.
    """
    limits = _thresholds(threshold or [])
    share = number(coverage, SHARE, "--coverage")
    count = int(number(draws, DRAWS, "--draws"))
    from perfmodel.cli.scenario_options import load_machine
    from perfmodel.kernel import Kernel
    from perfmodel.readers import read
    from perfmodel.validation import validate

    machine = load_machine(profile)
    try:
        rules = None if kernel is None else Kernel(kernel)
    except InputError as error:
        raise InputError(error.what, field="--kernel", expected=error.expected) from None
    with stages() as tell:
        tell("reading")
        table = read(data)
        if without_munmap:
            from perfmodel.validation.blind import predict_munmap

            _show_blind(
                predict_munmap(read(without_munmap), table, kernel=rules, draws=count,
                               progress=tell), as_json,
            )  # fmt: skip
            return
        found = validate(machine, table, kernel=rules, thresholds=limits, coverage=share,
                         draws=count, progress=tell)  # fmt: skip
        if figure is not None:
            from perfmodel.report.pictures import write_figures

            paths = write_figures(machine, figure, held_out=table, only=["validation"],
                                  progress=tell)  # fmt: skip
            note(f"{len(paths)} files in {figure}")
    if as_json:
        show_json(found.to_dict())
    else:
        from perfmodel.report.validation import validation_blocks

        show(validation_blocks(found, brief=brief, every=every))
    if not found.passed:
        note(f"the validation FELL SHORT in {len(found.failures)} respects")
        raise typer.Exit(1)


def _show_blind(found: Any, as_json: bool) -> None:
    if as_json:
        show_json(found.to_dict())
        return
    from perfmodel.report.validation import blind_blocks

    show(blind_blocks(found))


def _thresholds(given: list[str]) -> dict[str, float]:
    """Read ``KIND=NUMBER`` words.

    Raises
    ------
    InputError
        If there is no such kind, or the number is none.
    """
    limits = {}
    for word in given:
        kind, equals, value = word.rpartition("=")
        if not equals or kind not in KINDS:
            raise InputError(f"{word!r} names no kind", field="--threshold",
                             expected="KIND=NUMBER, the kind one of " + ", ".join(KINDS))  # fmt: skip
        limits[kind] = number(value, LIMIT, "--threshold")
    return limits
