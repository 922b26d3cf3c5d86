"""``perfmodel break-even``: where the sign of the net gain turns."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, bar, show, show_json
from perfmodel.cli.scenario_options import OPTIONS, scenario_from, with_scenario
from perfmodel.cli.values import DRAWS, POINTS, help_text, number
from perfmodel.errors import InputError
from perfmodel.quantities import MACHINE, SCENARIO, STATE, Quantity

NAME = "break-even"

#: Options of a scenario that are numbers but have no range worth a sweep.
_NOT_SWEPT = ("splits", "merges")


def _named(declared: Quantity) -> str:
    unit = "" if declared.unit in ("1", declared.name) else f" ({declared.unit})"
    return declared.name.replace("_", "-") + unit


_SWEPT = [
    _named(SCENARIO[o.quantity]) for o in OPTIONS if o.quantity and o.quantity not in _NOT_SWEPT
]
_OVER = (
    f"The parameter to vary over its typical range: {', '.join(_SWEPT)}; writer-share (calls over calls and"
    " faults that take the lock); or a constant of the machine by its name, such as shootdown (ns)."
)
EPILOG = (
    "Constants of the machine, in ns: "
    + ", ".join(name.replace("_", "-") for name in MACHINE)
    + "; in pages: "
    + ", ".join(name.replace("_", "-") for name in STATE)
    + ".\n\nExamples:\n\n"
    "perfmodel break-even --over pages --kernel 6.18 --same-vma 0.01 --points 13\n\n"
    "perfmodel break-even --over fault-rate --policy last-vma --pages 16 --points 13\n\n"
    "perfmodel break-even --over shootdown --preset mail --fault-rate 20 --remote-cpus 1 --points 13\n\n"
    "perfmodel break-even --over writer-share --preset mail --points 13"
)


@with_scenario
def command(
    typed: dict[str, Any],
    *,
    over: Annotated[str, typer.Option("--over", help=_OVER, metavar="PARAMETER")] = "pages",
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
