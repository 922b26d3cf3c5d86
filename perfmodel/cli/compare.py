"""``perfmodel compare``: the verdict over a fleet of machines, ranked by gain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, bar, check_target, note, show, show_json, write_text
from perfmodel.cli.scenario_options import scenario_from, with_scenario
from perfmodel.cli.values import DRAWS, POINTS, help_text, number
from perfmodel.errors import InputError
from perfmodel.quantities import Quantity

NAME = "compare"
EPILOG = (
    "A Parquet table has a row for each machine: name, evidence, and a column for each constant; -o"
    " FILE.parquet writes one with the answers beside the constants, and it can be read again. Both need the"
    " sweep extra.\n\n"
    "Examples:\n\n"
    "perfmodel compare xeon-vm-6.18 two-socket-server laptop arm-phone --preset mail\n\n"
    "perfmodel compare xeon-vm-6.18 laptop --preset mail --over fault-rate --points 13 --draws 40\n\n"
    "perfmodel compare calibration/profiles --preset large --policy last-vma --draws 20 --json"
)

_TOP = Quantity("top", "top", "1", (1, 1e6), (5, 50), "rows of each ranking that are shown", "caller",
                True)  # fmt: skip

#: Fields of an error that are options here.
_FLAGS = {"over": "--over", "profiles": "PROFILES", "path": "--output"}

#: What -o writes besides a table, by suffix.
_TEXTS = (".json", ".md", ".html")


@with_scenario
def command(
    typed: dict[str, Any],
    *,
    profiles: Annotated[
        list[str],
        typer.Argument(
            help="Names of shipped profiles, profiles' files, folders of them, or Parquet tables of"
            " constants.",
        ),
    ],
    over: Annotated[
        str | None,
        typer.Option(
            "--over",
            metavar="PARAMETER",
            help="Also give the values of a parameter at which the sign of the gain turns: over its typical"
            " range, or NAME=VALUES as of 'perfmodel sweep'.",
        ),
    ] = None,
    points: Annotated[
        str, typer.Option("--points", help=help_text(POINTS), metavar="NUMBER")
    ] = "41",
    draws: Annotated[str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")] = "100",
    top: Annotated[str, typer.Option("--top", help=help_text(_TOP), metavar="NUMBER")] = "20",
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE",
            help="Write all rows to FILE.parquet, .json, .md or .html.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there.")
    ] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Ask one question of many machines and rank them by what the best cut would gain there.

    Each kind of evidence has its own ranking: measured, composites of published figures, emulated. What
    cannot be read as a profile is counted, with its file and field.
    """
    count, steps = int(number(draws, DRAWS, "--draws")), int(number(points, POINTS, "--points"))
    rows = int(number(top, _TOP, "--top"))
    if typed["machine"] is not None:
        raise InputError("the profiles are the machines", field="--machine",
                         expected="it among PROFILES")  # fmt: skip
    from perfmodel.fleet import compare
    from perfmodel.machine import shipped_profiles

    # Any profile will do to read the scenario: each of the fleet takes its place.
    scenario = scenario_from({**typed, "machine": next(iter(shipped_profiles()), None)})
    target = None if output is None else Path(output)
    if target is not None and target.suffix in _TEXTS:
        check_target(target, force=force)
    table = None if target is None or target.suffix in _TEXTS else target
    try:
        with bar("profiles") as progress:
            found = compare(
                profiles, scenario, over=over, points=steps, draws=count, path=table, force=force,
                progress=progress,
            )  # fmt: skip
    except InputError as error:
        field = error.field or ""
        raise InputError(error.what, file=error.file, field=_FLAGS.get(field, field) or None,
                         expected=error.expected) from None  # fmt: skip
    if target is not None:
        if table is None:
            write_text(target, _text(found, target.suffix))
        note(f"written: {target}")
    if as_json:
        show_json(found.to_dict())
    elif target is None:
        from perfmodel.report.fleet import comparison_blocks

        show(comparison_blocks(found, rows))
    elif found.damaged:
        note(f"{len(found.damaged):,} could not be read as a profile; the first: {found.damaged[0].source}:"
             f" {found.damaged[0].field} {found.damaged[0].what}")  # fmt: skip


def _text(found: Any, suffix: str) -> str:
    if suffix == ".json":
        return json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n"
    from perfmodel.report.fleet import comparison_blocks
    from perfmodel.report.html import to_page
    from perfmodel.report.markdown import to_markdown

    blocks = comparison_blocks(found)
    return to_markdown(blocks) if suffix == ".md" else to_page("Machines compared", blocks)
