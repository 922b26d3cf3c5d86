"""``perfmodel measure``: run the measuring programs on this machine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, check_target, note, show, show_json
from perfmodel.cli.values import SEED, help_text, number
from perfmodel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "measure"
EPILOG = "Example: perfmodel measure --quick -o results.json"

#: Records that are there whatever was asked for; alone they are no measurement.
_ALWAYS = {"noise", "null_clock"}


def command(
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The JSON file to write. Default:"
                     " perfmodel-run-DATE-TIME.json here."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small grid: half a minute in place of minutes.")
    ] = False,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", help="calls, faults, locked, wake or trace (needs root); may be"
                     " repeated. Default: all."),
    ] = None,
    seed: Annotated[str, typer.Option("--seed", help=help_text(SEED), metavar="NUMBER")] = "1",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Measure this machine: calls, faults, locked operations, waking, a traced load.

    Needs a C compiler; only tracing needs root. A group that fails is named and the rest goes on.
    Exit status 1 if nothing could be measured.
    """
    from perfmodel import measure

    start = int(number(seed, SEED, "--seed"))
    target = output or Path(time.strftime("perfmodel-run-%Y%m%d-%H%M%S.json"))
    if target.exists() or target.is_dir():
        check_target(target, force=force)
    try:
        with _progress() as tell:
            path = measure.run(target, quick=quick, groups=group or None, seed=start, progress=tell)
    except InputError as error:
        field = "--group" if error.field == "groups" else error.field
        raise InputError(error.what, file=error.file, field=field,
                         expected=error.expected) from None  # fmt: skip
    except KeyboardInterrupt:
        note(f"stopped; {target} holds what was complete")
        raise
    summary = _summary(path)
    if as_json:
        show_json(summary)
    else:
        show(_blocks(summary))
    if not summary["records"]:
        raise typer.Exit(1)


def _progress() -> Any:
    """Show one bar a group on a terminal, else one line a group."""
    from contextlib import contextmanager

    from rich.console import Console
    from rich.progress import Progress

    @contextmanager
    def show_progress() -> Any:
        console = Console(stderr=True)
        if not console.is_terminal:
            yield lambda group, _done, total: note(f"measuring {group}") if not total else None
            return
        tasks: dict[str, Any] = {}
        with Progress(console=console) as progress:

            def tell(group: str, done: int, total: int) -> None:
                if group not in tasks:
                    tasks[group] = progress.add_task(group, total=total or None)
                progress.update(tasks[group], completed=done, total=total or None)

            yield tell

    make: Callable[[], Any] = show_progress
    return make()


def _summary(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    kinds: dict[str, int] = {}
    for record in document["records"]:
        if record["benchmark"] not in _ALWAYS:
            kinds[record["benchmark"]] = kinds.get(record["benchmark"], 0) + 1
    trace = document.get("trace")
    return {
        "file": str(path),
        "status": document["status"],
        "records": kinds,
        "trace": None if trace is None else str(path.with_name(trace["file"])),
        "noise": document["noise"],
        "problems": document["problems"],
        "next": _next(path),
    }


def _next(path: Path) -> str:
    """Return the command that makes a profile of the run; its trace is read with it."""
    import shlex

    profile = path.with_name(f"profile-{path.stem}.json")
    return f"perfmodel calibrate {shlex.quote(str(path))} -o {shlex.quote(str(profile))}"


def _blocks(summary: dict[str, Any]) -> list[Any]:
    from perfmodel.report.blocks import Bullets, Text
    from perfmodel.report.machine import state_lines

    counts = ", ".join(f"{n} of {kind}" for kind, n in summary["records"].items()) or "nothing"
    blocks: list[Any] = [
        Text(f"Measured: {summary['file']} ({summary['status']}): {counts}."),
        Bullets(
            [
                *([f"trace: {summary['trace']}"] if summary["trace"] else []),
                *state_lines({"noise": summary["noise"]}),
                *(f"problem in {p['group']}: {p['what']}" for p in summary["problems"]),
            ]
        ),
    ]
    if summary["records"]:
        blocks.append(Text(f"Next: {summary['next']}"))
    return blocks
