"""``perfmodel sensitivity``: what an answer hangs on, and where its spread comes from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

# The rule of which cut a verb is about is that of break-even.
from perfmodel.cli.break_even import one_policy
from perfmodel.cli.output import JsonOption, show, show_json
from perfmodel.cli.scenario_options import scenario_from, with_scenario
from perfmodel.cli.values import help_text, number
from perfmodel.errors import InputError
from perfmodel.quantities import Quantity

NAME = "sensitivity"
EPILOG = (
    "Examples:\n\nperfmodel sensitivity --preset large\n\n"
    "perfmodel sensitivity --preset mail --output wait_mean --policy none"
)

_SAMPLES = Quantity(
    "samples", "N", "1", (8, 65536), (64, 4096),
    "base sample of the Sobol indices, a power of two", "caller", integer=True,
)  # fmt: skip
_SEED = Quantity("seed", "seed", "1", (0, 2**31 - 1), (0, 100), "seed of the sample", "caller",
                 integer=True)  # fmt: skip


@with_scenario
def command(
    typed: dict[str, Any],
    *,
    output: Annotated[
        str,
        typer.Option("--output", help="Of what: net_gain, exclusive or wait_mean.", metavar="NAME"),
    ] = "net_gain",
    indices: Annotated[
        bool,
        typer.Option("--sobol", help="Give Sobol indices too (needs the sensitivity extra)."),
    ] = False,
    samples: Annotated[
        str, typer.Option("--samples", help=help_text(_SAMPLES), metavar="NUMBER")
    ] = "256",
    seed: Annotated[str, typer.Option("--seed", help=help_text(_SEED), metavar="NUMBER")] = "0",
    as_json: JsonOption = False,
) -> None:
    """Say which constants and parameters an answer hangs on, and which its spread comes from.

    Elasticities are per cent of the output for one per cent of the constant.
    """
    count, start = int(number(samples, _SAMPLES, "--samples")), int(number(seed, _SEED, "--seed"))
    scenario = scenario_from(typed)
    from perfmodel.scenario import Policy
    from perfmodel.sensitivity import elasticities, sobol

    # Without a downgrade there is a hold and a wait to ask of, though no gain.
    policy = Policy.NONE if typed["policy"] == "none" else one_policy(typed["policy"])

    try:
        answer = elasticities(scenario, policy=policy, output=output)
        split = (
            sobol(scenario, policy=answer.policy, output=output, samples=count, seed=start)
            if indices
            else None
        )
    except InputError as error:
        field = (
            f"--{error.field}" if error.field in ("output", "policy", "samples") else error.field
        )
        raise InputError(error.what, field=field, expected=error.expected) from None
    if as_json:
        show_json(answer.to_dict() | ({"sobol": split.to_dict()} if split else {}))
        return
    from perfmodel.report.sensitivity import elasticity_blocks, sobol_blocks

    show([*elasticity_blocks(answer), *(sobol_blocks(split) if split else [])])
