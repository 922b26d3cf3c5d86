"""``perfmodel predict``: the verdict on a scenario, and every number behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, show, show_json
from perfmodel.cli.scenario_options import scenario_from, with_scenario
from perfmodel.cli.values import DRAWS, help_text, number
from perfmodel.errors import InputError

if TYPE_CHECKING:
    from perfmodel.crosscheck import Opinion
    from perfmodel.scenario import Scenario

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
    check: Annotated[
        str,
        typer.Option(
            "--check",
            metavar="SOLVER",
            help="Ask a second solver beside the closed form: chain or simulation.",
        ),
    ] = "",
    solver: Annotated[
        str,
        typer.Option(
            "--solver",
            metavar="SOLVER",
            help="Who answers the lock's question: auto (the closed form, and where its error is not"
            " known the Markov chain or the simulation), closed, chain or simulation.",
        ),
    ] = "auto",
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

    try:
        prediction = predict(scenario, draws=count, solver=solver)
    except InputError as error:
        if error.field == "solver":
            raise InputError(error.what, field="--solver", expected=error.expected) from None
        raise
    opinions = _opinions(scenario, check) if check else ()
    if as_json:
        checked = {"check": [o.to_dict() for o in opinions]} if check else {}
        show_json(prediction.to_dict() | checked)
        return
    from perfmodel.report.opinions import opinion_blocks
    from perfmodel.report.prediction import prediction_blocks

    show([*prediction_blocks(prediction, brief=brief), *opinion_blocks(opinions)])


def _opinions(scenario: Scenario, check: str) -> tuple[Opinion, ...]:
    from perfmodel.crosscheck import second_opinion

    try:
        return second_opinion(scenario, check)
    except InputError as error:
        raise InputError(error.what, field="--check", expected=error.expected) from None


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
