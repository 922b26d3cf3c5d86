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
    columns = [
        Column("profile"), Column("evidence"), Column("kernel", wrap=True), Column("CPU", wrap=True),
        Column("fit error", True), Column("description", wrap=True),
    ]  # fmt: skip
    show([Table(columns, [
        [m["name"], m["evidence"], m["kernel"] or "unknown", m["cpu"] or "unknown",
         "unknown" if m["median_absolute_error"] is None else error_text(m["median_absolute_error"]),
         m["description"]]
        for m in found
    ])])  # fmt: skip


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
