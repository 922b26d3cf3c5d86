"""``perfmodel machine``: the profiles that travel with the kit."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, show, show_json

app = typer.Typer(
    rich_markup_mode="rich",
    help="Show machine profiles: what a machine costs.",
    epilog="Example: perfmodel machine list",
    no_args_is_help=True,
)


@app.command("list", epilog="Example: perfmodel machine list --json")
def list_profiles(*, as_json: JsonOption = False) -> None:
    """List the shipped profiles with what they rest on."""
    from perfmodel.machine import Machine, shipped_profiles
    from perfmodel.report.blocks import Column, Table, Text
    from perfmodel.report.numbers import error_text

    found: list[dict[str, Any]] = []
    for name, path in shipped_profiles().items():
        machine = Machine.load(path)
        state = machine.state.get("machine") or {}
        error = machine.fit.get("median_absolute_error")
        found.append(
            {
                "name": name,
                "evidence": machine.evidence,
                "kernel": (state.get("kernel") or {}).get("release"),
                "cpu": (state.get("cpu") or {}).get("model"),
                "median_absolute_error": error,
                "description": machine.description,
                "sha256": machine.sha256,
            }
        )
    if as_json:
        show_json(found)
        return
    if not found:
        show([Text("No profile is shipped.")])
        return

    def absent(profile: dict[str, Any]) -> str:
        # What is put together from publications has no CPU, no kernel and no fit of its own.
        return "unknown" if profile["evidence"] == "measured" else "-"

    columns = [
        Column("profile"), Column("evidence"), Column("kernel", wrap=True), Column("CPU", wrap=True),
        Column("fit error", True), Column("description", wrap=True),
    ]  # fmt: skip
    show([Table(columns, [
        [m["name"], m["evidence"], m["kernel"] or absent(m), m["cpu"] or absent(m),
         absent(m) if m["median_absolute_error"] is None else error_text(m["median_absolute_error"]),
         m["description"]]
        for m in found
    ])])  # fmt: skip


@app.command("diff", epilog="Example: perfmodel machine diff xeon-vm-6.18 two-socket-server")
def diff_profiles(
    first: Annotated[str, typer.Argument(help="A shipped profile's name or a profile's file.")],
    second: Annotated[str, typer.Argument(help="The one to hold beside it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show two profiles side by side: ratio of each constant, in units of their joint spread.

    Marked are those that differ by more than 90 % of what both are uncertain by: a verdict that
    changes from one profile to the other hangs on these.
    """
    from perfmodel.cli.scenario_options import load_machine
    from perfmodel.report.machine import difference_blocks, differences

    one, two = load_machine(first), load_machine(second)
    if as_json:
        show_json(
            {
                "machines": [{"name": m.name, "evidence": m.evidence, "sha256": m.sha256}
                             for m in (one, two)],
                "constants": [d.to_dict() for d in differences(one, two)],
            }
        )  # fmt: skip
        return
    show(difference_blocks(one, two))


@app.command("show", epilog="Example: perfmodel machine show xeon-vm-6.18")
def show_profile(
    name: Annotated[str, typer.Argument(help="A shipped profile's name or a profile's file.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show one profile: constants, what is not known, how well it fitted, the machine's state."""
    import json

    from perfmodel.cli.scenario_options import load_machine

    machine = load_machine(name)
    if as_json:
        show_json({**json.loads(machine.to_bytes()), "sha256": machine.sha256})
        return
    from perfmodel.report.machine import machine_blocks

    show(machine_blocks(machine))
