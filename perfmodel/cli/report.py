"""``perfmodel report``: one document with every answer and where each number comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfmodel.cli.output import JsonOption, check_target, note, show_json, stages, write_text
from perfmodel.cli.values import DRAWS, help_text, number
from perfmodel.errors import InputError

NAME = "report"
EPILOG = "Example: perfmodel report -o report.md --data results/ --no-figures"


def command(
    *,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="report.md or report.html: both are"
                     " written."),
    ],
    machine: Annotated[
        str | None,
        typer.Option("--machine", help="A shipped profile's name or a profile's file. Default: the"
                     " first shipped profile."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", metavar="FILE", help="A measured run or a folder of them, for the"
                     " natural experiment and the figures; may be repeated."),
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option("--held-out", metavar="FILE", help="A run that the profile was not fitted to,"
                     " for the held-out check; may be repeated."),
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw the figures into a folder beside"
                           " the report.")
    ] = True,
    draws: Annotated[
        str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")
    ] = "400",
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Write a report as Markdown and as HTML: verdicts, break-evens, calibration, checks, figures.

    Of each number it is said whether it was measured, published, derived or assumed.
    """
    count = int(number(draws, DRAWS, "--draws"))
    if output.suffix not in ("", ".md", ".html"):
        raise InputError(f"{output.suffix!r} is no format of a report", field="--output",
                         expected="a name that ends in .md or .html")  # fmt: skip
    text, page = output.with_suffix(".md"), output.with_suffix(".html")
    for target in (text, page):
        check_target(target, force=True)
    from perfmodel.cli.scenario_options import load_machine
    from perfmodel.readers import read
    from perfmodel.report.html import to_page
    from perfmodel.report.markdown import to_markdown
    from perfmodel.report.pictures import write_figures
    from perfmodel.report.whole import whole_report

    profile = load_machine(machine)
    with stages() as tell:
        tell("reading")
        table = read(data) if data else None
        later = read(held_out) if held_out else None
        pictures: list[Path] = []
        if figures:
            from perfmodel.figures import FIGURES, who_breaks

            pictures = write_figures(
                profile, output.with_name(f"{output.stem}-figures"), table=table, held_out=later,
                formats=("svg",), only=[k.name for k in (*FIGURES, who_breaks.FIGURE)], progress=tell,
            )  # fmt: skip
        blocks = whole_report(
            profile, table=table, held_out=later, pictures=pictures, beside=output.parent,
            draws=count, progress=tell,
        )  # fmt: skip
    write_text(text, to_markdown(blocks))
    write_text(page, to_page("When would it pay for mprotect to downgrade mmap_lock?", blocks))
    note(f"report: {text} and {page}")
    if as_json:
        show_json({"markdown": str(text), "html": str(page), "figures": [str(p) for p in pictures]})
