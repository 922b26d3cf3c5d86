"""``perfmodel calibrate``: benchmark output and traces in, a machine profile out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.cli.output import (
    JsonOption,
    check_target,
    note,
    show,
    show_json,
    stages,
    write_text,
)
from perfmodel.cli.values import THRESHOLD, help_text, number
from perfmodel.errors import InputError

if TYPE_CHECKING:
    from perfmodel.fit import Calibration
    from perfmodel.observations import ObservationTable
    from perfmodel.report.held_out import HeldOut

NAME = "calibrate"
EPILOG = (
    "Example: perfmodel calibrate results/run1.json -o my-machine.json --held-out results/run2.json"
)

SCHEMA = "perfmodel.calibration/1"


def command(
    files: Annotated[
        list[Path], typer.Argument(help="Files and folders to fit: benchmark runs and traces.")
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="PROFILE", help="The profile to write.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the profile. Default: the file's name.")
    ] = None,
    description: Annotated[
        str, typer.Option("--description", help="One sentence on the machine.")
    ] = "",
    kernel: Annotated[
        str | None, typer.Option("--kernel", help="Release, for files that do not say it.")
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option("--held-out", metavar="FILE", help="A run that the fit does not see, to check"
                     " the profile with; may be repeated."),
    ] = None,
    threshold: Annotated[
        str, typer.Option("--threshold", metavar="NUMBER", help=help_text(THRESHOLD))
    ] = "0.10",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as HTML, too.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing profile.")] = False,
    brief: Annotated[
        bool, typer.Option("--brief", help="Print the constants and the check's answer only.")
    ] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Fit a machine's constants to what was measured on it, and check them on a run held out.

    One joint robust fit of all constants to all files. The report says what was found, what the data
    cannot tell, how far off the fit is and where. Exit status 1 if the held-out check falls short.
    """
    limit = number(threshold, THRESHOLD, "--threshold")
    check_target(output, force=force)
    called = output.stem if name is None else name
    from perfmodel.machine import NAME as PATTERN

    if not re.fullmatch(PATTERN, called):
        raise InputError(f"{called!r} is no name for a profile", field="--name",
                         expected="letters, digits, dots, dashes and underscores")  # fmt: skip
    if html is not None:
        check_target(html, force=True, option="--html")
    with stages() as tell:
        calibration, check = _calibrate(
            files, called, description, kernel, held_out or [], limit, tell
        )
        calibration.machine.save(output)
    note(f"profile: {output}")
    from perfmodel.report.calibration import calibration_blocks

    blocks = calibration_blocks(calibration, check)
    if html is not None:
        from perfmodel.report.html import to_page

        write_text(html, to_page(f"Calibration of {called}", blocks))
        note(f"report: {html}")
    if as_json:
        show_json(_to_dict(calibration, check, output))
    else:
        show(calibration_blocks(calibration, check, brief=True) if brief else blocks)
    if check is not None and not check.passed:
        note("the held-out check FAILED; the profile was written all the same")
        raise typer.Exit(1)


def _calibrate(
    files: list[Path], name: str, description: str, kernel: str | None, held_out: list[Path],
    limit: float, tell: Any,
) -> tuple[Calibration, HeldOut | None]:  # fmt: skip
    from perfmodel.fit import calibrate
    from perfmodel.kernel import Kernel
    from perfmodel.report.held_out import held_out_check

    try:
        rules = None if kernel is None else Kernel(kernel)
    except InputError as error:
        raise InputError(error.what, field="--kernel", expected=error.expected) from None
    tell("reading")
    table = _read(files)
    # Read before the fit: a bad file must not cost minutes.
    later = _read(held_out) if held_out else None
    if later is not None:
        _refuse_shared(table, later)
    calibration = calibrate(table, name=name, description=description, kernel=rules, progress=tell)
    if later is None:
        return calibration, None
    tell("held-out check")
    check = held_out_check(calibration.machine, later, kernel=rules, threshold=limit)
    machine = replace(
        calibration.machine, fit={**calibration.machine.fit, "held_out": _kept(check)}
    )
    return replace(calibration, machine=machine), check


def _read(paths: list[Path]) -> ObservationTable:
    from perfmodel.readers import read

    table = read(paths)
    for report in table.reports:
        for warning in report.warnings:
            note(f"{report.file}: {warning}")
        if report.lost:
            note(f"{report.file}: {report.lost} events were lost while it was recorded")
    return table


def _refuse_shared(table: ObservationTable, later: ObservationTable) -> None:
    """Refuse a held-out file that the fit sees: tell it before the fit."""
    fitted = {g.source.sha256 for g in table.groups}
    for group in later.groups:
        if group.source.sha256 in fitted:
            raise InputError(
                "the fit is given this very file, so it is not held out", file=group.source.file,
                field="--held-out", expected="a run that the fit does not see",
            )  # fmt: skip


def _kept(check: HeldOut) -> dict[str, Any]:
    """Return the check as the profile keeps it: files without the folders they lay in."""
    kept = check.to_dict()
    kept["files"] = [{**f, "file": Path(f["file"]).name} for f in kept["files"]]
    del kept["warnings"]
    return kept


def _to_dict(calibration: Calibration, check: HeldOut | None, output: Path) -> dict[str, Any]:
    import msgspec

    machine = calibration.machine
    return {
        "schema": SCHEMA,
        "profile": str(output),
        "name": machine.name,
        "sha256": machine.sha256,
        "constants": msgspec.to_builtins(dict(machine.constants)),
        "fit": dict(machine.fit),
        "held_out": None if check is None else check.to_dict(),
    }
