"""``perfmodel lost-stores``: what an unsafe cut would lose if one made it anyway."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, show, show_json
from perfmodel.cli.scenario_options import scenario_from, with_scenario
from perfmodel.cli.values import DRAWS, help_text, number
from perfmodel.quantities import STALE

NAME = "lost-stores"
EPILOG = (
    "Example: perfmodel lost-stores --preset large --forced-writes-per-s 100 --stores-per-s 1e6"
)


@with_scenario
def command(
    typed: dict[str, Any],
    *,
    forced_writes_per_s: Annotated[
        str, typer.Option("--forced-writes-per-s", metavar="NUMBER",
                          help=help_text(STALE["forced_writes_per_s"]))
    ] = "1",
    stores_per_s: Annotated[
        str, typer.Option("--stores-per-s", metavar="NUMBER", help=help_text(STALE["stores_per_s"]))
    ] = "1000000",
    copy_us: Annotated[
        str | None, typer.Option("--copy-us", metavar="NUMBER", help=help_text(
            STALE["copy_us"], "the hold of a minor fault, which one that copies exceeds"))
    ] = None,
    draws: Annotated[str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")] = "400",
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Say how many stores an unsafe cut would lose an hour, if one made it anyway.

    A page is stale from the moment that the walk takes its write bit until the flush is done. Until
    5.18 a forced write that comes under the shared lock copies it, and what a CPU stores meanwhile is
    lost. From 5.19 on it writes to the page itself, and nothing is.
    """
    forced = number(forced_writes_per_s, STALE["forced_writes_per_s"], "--forced-writes-per-s")
    stores = number(stores_per_s, STALE["stores_per_s"], "--stores-per-s")
    copy = None if copy_us is None else number(copy_us, STALE["copy_us"], "--copy-us")
    count = int(number(draws, DRAWS, "--draws"))
    scenario = scenario_from(typed)
    from perfmodel.exposure import SCHEMA, lost_stores

    found = lost_stores(
        scenario, forced_writes_per_s=forced, stores_per_s=stores, copy_us=copy, draws=count
    )
    if as_json:
        show_json({
            "schema": SCHEMA, "scenario": scenario.to_dict(), "forced_writes_per_s": forced,
            "stores_per_s": stores, "copy_us": copy, "cuts": [e.to_dict() for e in found],
        })  # fmt: skip
        return
    from perfmodel.report.exposure import exposure_blocks

    show(exposure_blocks(scenario, found, forced, stores))
