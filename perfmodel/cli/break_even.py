"""``perfmodel break-even``: where the sign of the net gain turns."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, bar, show, show_json
from perfmodel.cli.scenario_options import scenario_from, with_scenario
from perfmodel.cli.values import DRAWS, POINTS, help_text, number
from perfmodel.errors import InputError

NAME = "break-even"
EPILOG = (
    "Examples:\n\nperfmodel break-even --over pages --kernel 6.18 --same-vma 0.01 --points 13\n\n"
    "perfmodel break-even --over fault-rate --policy last-vma --pages 16 --points 13"
)


@with_scenario
def command(
    typed: dict[str, Any],
    *,
    over: Annotated[
        str,
        typer.Option(
            "--over",
            help="The parameter to vary over its typical range: pages, vmas, populated, remote-cpus,"
            " fault-rate, fault-threads, fault-think-us, same-vma, first-touch, io-share, io-us,"
            " writer-threads, writer-think-us, writer-rate or cpus.",
        ),
    ] = "pages",
    points: Annotated[
        str, typer.Option("--points", help=help_text(POINTS), metavar="NUMBER")
    ] = "41",
    draws: Annotated[str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")] = "100",
    as_json: JsonOption = False,
) -> None:
    """Find the values of one parameter at which a downgrade begins or ceases to pay."""
    count = int(number(draws, DRAWS, "--draws"))
    steps = int(number(points, POINTS, "--points"))
    scenario = scenario_from(typed)
    from perfmodel.breakeven import break_even

    policy = one_policy(typed["policy"])
    try:
        with bar(f"net gain over {over}") as progress:
            answer = break_even(
                scenario, over, policy=policy, points=steps, draws=count, progress=progress
            )
    except InputError as error:
        field = "--over" if error.field == "over" else error.field
        raise InputError(error.what, field=field, expected=error.expected) from None
    if as_json:
        show_json(answer.to_dict())
        return
    from perfmodel.report.breakeven import breakeven_blocks

    show(breakeven_blocks(answer))


def one_policy(text: str | None) -> Any:
    """Return the one cut that is asked for; None, the one the verdict judges, for none or all."""
    from perfmodel.scenario import Policy

    if text is None or text.strip() == "all":
        return None
    named = [p for p in Policy.parse(text) if p is not Policy.NONE]
    if len(named) != 1:
        raise InputError(
            f"{text!r} is not one cut", field="--policy", expected="one policy other than none"
        )
    return named[0]
