"""The machine: how it was measured and fitted, and its constants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.figures.style import where_measured
from perfmodel.report.blocks import (
    Block,
    Cell,
    Column,
    Formula,
    Heading,
    Mark,
    Table,
    Text,
)
from perfmodel.report.machine import constants_table, fit_blocks
from perfmodel.writeup.numbering import ref

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return origin, fit and constants of the profile."""
    machine = material.machine
    inputs = [f"{f.file} ({f.format})" for f in machine.inputs]
    state = machine.state.get("machine") or {}
    where = f" on a {where_measured(state)}" if state else ""
    about = machine.description or f"Profile {machine.name}"
    return [
        Heading("The machine and its constants", 2),
        Text(
            f"{about.rstrip('.')}. Evidence: {machine.evidence}{where}."
            f" Fitted to: {'; '.join(inputs) or 'no file'}."
        ),
        Text(
            "Single calls, faults beside a caller, wake-ups and line transfers are timed in user space, and the"
            " holds traced with the mmap_lock tracepoints where there were rights for it. One joint fit gives all"
            " constants and their covariance; predictions draw from both."
        ),
        *[b for b in fit_blocks(machine, with_check=False) if isinstance(b, Text)][:1],
        *(
            [_constants(material)]
            if material.appendix
            else [
                Text(
                    f"perfmodel machine show {machine.name} prints all {len(machine.constants)} constants with"
                    " their intervals and sources; those that were not measured stand among the assumptions."
                )
            ]
        ),
    ]


def _constants(material: Material) -> Table:
    """Return the profile's constants, with the symbols of the equations in place of the remarks."""
    from perfmodel.machine import CONSTANTS

    table = constants_table(material.machine)
    rows: list[list[Cell]] = []
    for name, row in zip(material.machine.constants, table.rows, strict=True):
        declared = CONSTANTS[name]
        source = row[4].text if isinstance(row[4], Mark) else row[4]
        rows.append(
            [Formula(declared.symbol, name), declared.meaning, row[1], row[2], row[3], source]
        )
    columns = [Column("symbol"), Column("meaning", wrap=True), *table.columns[1:5]]
    return Table(columns, rows, table.caption, ref("table", "constants"))
