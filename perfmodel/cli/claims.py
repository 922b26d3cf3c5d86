"""``perfmodel claims``: what was claimed on the kernel list, and what the model says to it."""

from __future__ import annotations

from typing import Annotated

import typer

from perfmodel.cli.output import JsonOption, show, show_json
from perfmodel.cli.scenario_options import load_machine
from perfmodel.cli.values import DRAWS, help_text, number

NAME = "claims"
EPILOG = "Example: perfmodel claims --machine xeon-vm-6.18"


def command(
    *,
    machine: Annotated[
        str | None,
        typer.Option("--machine", help="A shipped profile's name or a profile's file. Default: the"
                     " first shipped profile.", metavar="TEXT"),
    ] = None,
    draws: Annotated[str, typer.Option("--draws", help=help_text(DRAWS), metavar="NUMBER")] = "400",
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Hold the claims of the founding mail, and the rule of 2006, against the model.

    Of each: the claim, the model's answer in numbers with a 90 % interval, where it holds, and on
    what the answer rests.
    """
    count = int(number(draws, DRAWS, "--draws"))
    profile = load_machine(machine)
    from perfmodel.claims import evaluate_claims

    found = evaluate_claims(profile, draws=count)
    if as_json:
        show_json(found.to_dict())
        return
    from perfmodel.report.claims import claims_blocks

    show(claims_blocks(found))
