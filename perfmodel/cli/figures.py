"""``perfmodel figures``: every figure of the write-up and of the page of failures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfmodel.cli.output import JsonOption, note, show, show_json, stages

NAME = "figures"
EPILOG = "Example: perfmodel figures -o figures --format svg"


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
    formats: Annotated[
        str, typer.Option("--format", help="Some of svg, pdf, png, separated by commas.")
    ] = "svg,pdf,png",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="One figure by its name; may be repeated."
                     " Default: all."),
    ] = None,
    width: Annotated[
        str, typer.Option("--width", help="page, or column: those that read in one column of a two-column"
                          " page are drawn for it.", metavar="WIDTH")
    ] = "page",
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", metavar="FILE", help="A measured run or a folder of them, to draw"
                     " beside the model; may be repeated. Default: the recorded run that a shipped"
                     " profile was not fitted to."),
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option("--held-out", metavar="FILE", help="A run that the profile was not fitted to;"
                     " may be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Write every figure, each with its data and its caption beside it.

    All of the write-up and of the page of failures; the same versions write the same bytes.
    """
    from perfmodel.report.pictures import formats_from, left_out, write_figures

    wanted = formats_from(formats)
    from perfmodel.cli.scenario_options import load_machine
    from perfmodel.figures.recorded import held_out_run
    from perfmodel.readers import read

    profile = load_machine(machine)
    with stages() as tell:
        tell("reading")
        runs = data or held_out_run(profile)
        paths = write_figures(
            profile,
            output,
            table=read(runs) if runs else None,
            held_out=read(held_out) if held_out else None,
            formats=wanted,
            only=only or None,
            width=width,
            progress=tell,
        )
    note(f"{len(paths)} files in {output}")
    for why in left_out(paths):
        note(f"not drawn: {why}")
    if as_json:
        show_json([str(p) for p in paths])
        return
    from perfmodel.report.blocks import Bullets

    show([Bullets([str(p) for p in paths])])
