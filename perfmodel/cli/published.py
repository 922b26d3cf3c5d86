"""``perfmodel published``: what others measured, and what the model says to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfmodel.cli.output import JsonOption, note, show, show_json, stages
from perfmodel.cli.values import DRAWS, help_text, number

NAME = "published"
EPILOG = "Example: perfmodel published --brief"


def command(
    *,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Another file of published figures. Default: the"
                     " one that travels with the kit."),
    ] = None,
    machine: Annotated[
        str, typer.Option("--machine", help="The measured profile that is compared.", metavar="TEXT")
    ] = "xeon-vm-6.18",
    server: Annotated[
        str, typer.Option("--server", help="The profile that stands for a two-socket server.",
                          metavar="TEXT")
    ] = "two-socket-server",
    draws: Annotated[str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")] = "400",
    constants: Annotated[
        bool, typer.Option("--constants", help="List the published constants, too.")
    ] = False,
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="DIR", help="Draw it into this folder, too.")
    ] = None,
    brief: Annotated[
        bool, typer.Option("--brief", help="Leave out notes and sources.")
    ] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Hold every published before/after pair against the model, hits and misses alike.

    What the model cannot speak to says why. No constant was chosen for the sake of one of these
    numbers; what went into a prediction is named and not compared. Needs the published extra.
    """
    count = int(number(draws, DRAWS, "--draws"))
    from perfmodel.cli.scenario_options import load_machine
    from perfmodel.published import load_published
    from perfmodel.published.composite import USED
    from perfmodel.published.pairs import compare_all

    figures = load_published(file)
    measured = load_machine(machine)
    found = compare_all(figures, measured=measured, server=load_machine(server), draws=count)
    if figure is not None:
        from perfmodel.report.pictures import write_figures

        with stages() as tell:
            paths = write_figures(measured, figure, only=["published"], progress=tell)
        note(f"{len(paths)} files in {figure}")
    if as_json:
        show_json(found.to_dict())
        return
    from perfmodel.report.published import constants_blocks, published_blocks

    blocks = published_blocks(found, brief=brief)
    if constants:
        blocks += constants_blocks(figures, USED)
    show(blocks)
