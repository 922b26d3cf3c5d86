"""``perfmodel explore``: the model in a browser, served by this machine or as one file."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, check_target, note, show_json, stages, write_text
from perfmodel.cli.scenario_options import OPTIONS, load_machine, scenario_from, with_scenario
from perfmodel.errors import InputError

if TYPE_CHECKING:
    from perfmodel.machine import Machine

NAME = "explore"
EPILOG = (
    "Examples:\n\nperfmodel explore --preset large\n\n"
    "perfmodel explore --html explorer.html --machine xeon-vm-6.18 --force"
)

_WHERE = "Where it is shown"


def _explore(
    typed: dict[str, Any],
    *,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write one page to this file instead: it needs no server and no"
                     " network.", metavar="FILE", rich_help_panel=_WHERE),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.", rich_help_panel=_WHERE)
    ] = False,
    port: Annotated[
        int,
        typer.Option("--port", help="Port to serve on; 0 for a free one.", min=0, max=65535,
                     rich_help_panel=_WHERE),
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.",
                           rich_help_panel=_WHERE)
    ] = True,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Open the explorer in a browser: sliders over a scenario, its verdict, tables and figures.

    Without --html this machine serves it, to itself alone, until Ctrl-C. It starts at the scenario
    that the options state; the address follows the scenario and brings it back.

    With --html it is written as one page, to open from a disk or send to a mailing list. The page has
    the closed forms of the model in it, translated from the same source that answers here, with the
    calibrated machines and their spread; it begins at the first preset.
    """
    if html is None:
        _serve(typed, port=port, browser=browser, as_json=as_json)
    else:
        _write(typed, html, force=force, as_json=as_json)


def _several_machines(verb: Any) -> Any:
    """Let --machine be given several times: the page takes as many as one likes."""
    several = typer.Option("--machine", help="A profile's name or file. With --html it may be given"
                           " several times, and all shipped profiles are the default; else the first"
                           " shipped profile is.", metavar="TEXT", rich_help_panel="The whole",
                           show_default=False)  # fmt: skip
    hint = Annotated[list[str] | None, several]
    parameters = [
        p.replace(annotation=hint) if p.name == "machine" else p
        for p in inspect.signature(verb).parameters.values()
    ]
    verb.__signature__ = inspect.Signature(parameters)
    verb.__annotations__ = {p.name: p.annotation for p in parameters}
    return verb


command = _several_machines(with_scenario(_explore))


def _serve(typed: dict[str, Any], *, port: int, browser: bool, as_json: bool) -> None:
    named = typed["machine"] or [None]
    if len(named) > 1:
        raise InputError(f"{len(named)} are given", field="--machine",
                         expected="one; the page has a menu of all shipped profiles")  # fmt: skip
    from perfmodel.serving import serve

    asked = typed | {"machine": named[0]}
    if not any(typed[o.name] is not None for o in OPTIONS if o.name != "machine"):
        # Nothing is asked for: the question that all this began with.
        asked["preset"] = "mail"
    scenario = scenario_from(asked)

    def ready(address: str) -> None:
        if as_json:
            show_json({"address": address, "scenario": scenario.to_dict()})
        else:
            typer.echo(address)
        note("serving the explorer to this machine alone; Ctrl-C ends it")

    serve(scenario, port=port, open_browser=browser, ready=ready)


def _write(typed: dict[str, Any], html: Path, *, force: bool, as_json: bool) -> None:
    extra = [o.flag for o in OPTIONS if typed[o.name] is not None and o.name != "machine"]
    if extra:
        raise InputError("the page asks for its scenario itself", field=", ".join(extra),
                         expected="none of them beside --html; an address of the page names a"
                         " scenario")  # fmt: skip
    check_target(html, force=force, option="--html")
    chosen = _machines(typed["machine"])
    with stages() as tell:
        tell("translating the model")
        from perfmodel.webpage import page_html

        page = page_html(chosen)
    write_text(html, page)
    note(f"{len(page.encode()) / 1e6:.2f} MB in {html}: open it in a browser")
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
