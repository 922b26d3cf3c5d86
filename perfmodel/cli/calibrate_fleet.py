"""``perfmodel calibrate-fleet``: many machines' runs in, a profile of each out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfmodel.cli.output import JsonOption, bar, note, show, show_json
from perfmodel.cli.sweep import CLUSTER_HELP, WORKERS
from perfmodel.cli.values import number

NAME = "calibrate-fleet"
EPILOG = (
    "The same command goes on where it was stopped.\n\n"
    "Example: perfmodel calibrate-fleet runs/ -o profiles/ && perfmodel compare profiles/ --preset mail"
)


def command(
    runs: Annotated[
        Path,
        typer.Argument(
            help="A folder that holds a folder for each machine, named as its profile will be, with the"
            " machine's runs and traces."
        ),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="The folder of profiles to write: NAME.json for each."
        ),
    ],
    kernel: Annotated[
        str | None, typer.Option("--kernel", help="Release, for files that do not say it.")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option("--workers", metavar="NUMBER", help="Processes. Default: the CPUs there are."),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="ADDRESS", help=CLUSTER_HELP)
    ] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Calibrate many machines, each as 'perfmodel calibrate' does one.

    A machine whose runs cannot be read or fitted is named with the reason, and the others go on. Exit status
    1 if there was one.
    """
    count = None if workers is None else int(number(workers, WORKERS, "--workers"))
    from perfmodel.fleet import calibrate_fleet

    with bar("machines") as progress:
        found = calibrate_fleet(
            runs,
            output,
            kernel=kernel,
            workers=count,
            cluster=cluster,
            progress=progress,
            told=note,
        )
    note(f"written: {len(found.profiles)} profiles in {output}")
    if as_json:
        show_json(found.to_dict())
    else:
        from perfmodel.report.fleet import calibration_blocks

        show(calibration_blocks(found))
    if found.failed:
        raise typer.Exit(1)
