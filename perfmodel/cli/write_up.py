"""``perfmodel write-up``: the design note, as Markdown, HTML, LaTeX and PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfmodel.cli.output import JsonOption, note, show_json, stages
from perfmodel.cli.values import DRAWS, help_text, number

NAME = "write-up"
EPILOG = "Example: perfmodel write-up -o write-up"


def command(
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write into.")
    ],
    machine: Annotated[
        str | None,
        typer.Option("--machine", help="A shipped profile's name or a profile's file. Default: the"
                     " first shipped profile."),
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option("--held-out", metavar="FILE", help="A run that the profile was not fitted to;"
                     " may be repeated. Default: the shipped ones of the machine."),
    ] = None,
    draws: Annotated[
        str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")
    ] = "400",
    appendix: Annotated[
        bool, typer.Option("--appendix", help="Draw the figures that no section shows, too, each under its"
                           " question: some minutes more.")
    ] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf/--no-pdf", help="Compile the LaTeX, where it is installed.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files of the same names in a folder that is not empty.")
    ] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Write the design note "When does downgrading mmap_lock in mprotect pay?".

    Every number, table and figure of it is made here from models, profile and recorded data:
    Markdown, one HTML file that loads nothing, and LaTeX, compiled where LaTeX is installed.
    """
    count = int(number(draws, DRAWS, "--draws"))
    from perfmodel.writeup.files import check_folder, write

    check_folder(output, force=force)
    from perfmodel.cli.scenario_options import load_machine
    from perfmodel.readers import read
    from perfmodel.writeup.document import compose
    from perfmodel.writeup.material import recorded_runs

    profile = load_machine(machine)
    with stages() as tell:
        tell("reading")
        runs = held_out or list(recorded_runs(profile))
        document = compose(
            profile, read(runs) if runs else None, draws=count, appendix=appendix, progress=tell
        )
        paths, no_pdf = write(document, output, pdf=pdf, progress=tell)
    for name, why in document.missing.items():
        note(f"figure {name} is not drawn: {why}")
    if no_pdf:
        note(f"no PDF: {no_pdf}")
    note(f"{len(paths)} files in {output}")
    if as_json:
        show_json([str(p) for p in paths])
        return
    from perfmodel.cli.output import show
    from perfmodel.report.blocks import Bullets

    show([Bullets([str(p) for p in paths if p.parent == output])])
