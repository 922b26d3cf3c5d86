"""``perfmodel predict``: the verdict on a scenario, and every number behind it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, show, show_json
from perfmodel.cli.scenario_options import scenario_from, with_scenario
from perfmodel.cli.values import DRAWS, help_text, number

NAME = "predict"
EPILOG = (
    "Examples:\n\nperfmodel predict --preset mail\n\nperfmodel predict --preset list\n\n"
    "perfmodel predict --kernel 6.18 --pages 512 --fault-threads 32 --fault-think-us 20 --json"
)


@with_scenario
def command(
    typed: dict[str, Any],
    *,
    draws: Annotated[str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")] = "400",
    brief: Annotated[
        bool, typer.Option("--brief", help="Only the verdict and the table of policies.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether a downgrade would pay: is it safe, what each policy costs, and how sure that is.

    The verdict stands first, then each policy's hold, waits and net gain, then where the thread
    time goes, then every reservation.
    """
    if typed["preset"] == "list":
        _list(as_json)
        return
    count = int(number(draws, DRAWS, "--draws"))
    scenario = scenario_from(typed)
    from perfmodel.prediction import predict

    prediction = predict(scenario, draws=count)
    if as_json:
        show_json(prediction.to_dict())
        return
    from perfmodel.report.prediction import prediction_blocks

    show(prediction_blocks(prediction, brief=brief))


def _list(as_json: bool) -> None:
    from dataclasses import asdict

    from perfmodel.presets import PRESETS
    from perfmodel.report.blocks import Column, Table

    if as_json:
        show_json([asdict(p) for p in PRESETS.values()])
        return
    rows = [[p.name, p.sentence, p.source] for p in PRESETS.values()]
    columns = [Column("preset"), Column("what it is", wrap=True), Column("source", wrap=True)]
    show([Table(columns, rows)])
