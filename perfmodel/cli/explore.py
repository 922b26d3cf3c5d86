"""``perfmodel explore``: the model as a page in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfmodel.cli.output import JsonOption, check_target, note, show_json, stages, write_text
from perfmodel.cli.scenario_options import load_machine
from perfmodel.errors import InputError

if TYPE_CHECKING:
    from perfmodel.machine import Machine

NAME = "explore"
EPILOG = (
    "Examples:\n\nperfmodel explore --html explorer.html\n\n"
    "perfmodel explore --html explorer.html --machine xeon-vm-6.18 --force"
)


def command(
    *,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write the page to this file: it needs no server and no network.",
                     metavar="FILE"),
    ] = None,
    machine: Annotated[
        list[str] | None,
        typer.Option("--machine", help="A profile's name or file; may be given several times. Default:"
                     " all shipped profiles.", metavar="TEXT"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Write the explorer as one HTML page, to open from a disk or send to a mailing list.

    The page has the closed forms of the model in it, translated from the same source that answers
    here, with the calibrated machines and their spread. The scenario stands in its address.
    """
    if html is None:
        raise InputError(
            "the served explorer is not there yet",
            field="--html",
            expected="a file to write the page to, for instance --html explorer.html",
        )
    check_target(html, force=force, option="--html")
    chosen = _machines(machine)
    with stages() as tell:
        tell("translating the model")
        from perfmodel.webpage import page_html

        page = page_html(chosen)
    write_text(html, page)
    size = len(page.encode()) / 1e6
    note(f"{size:.2f} MB in {html}: open it in a browser")
    if as_json:
        show_json({"file": str(html), "machines": [m.name for m in chosen]})


def _machines(names: list[str] | None) -> list[Machine]:
    from perfmodel.machine import shipped_profiles

    if names:
        return [load_machine(name) for name in names]
    shipped = [load_machine(str(path)) for path in shipped_profiles().values()]
    if not shipped:
        raise InputError("no profile is shipped", field="--machine", expected="a profile's file")
    return shipped
