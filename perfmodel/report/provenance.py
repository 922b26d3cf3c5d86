"""Where each number of a report comes from: measured, published, derived, assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Table, Text
from perfmodel.report.machine import origin

if TYPE_CHECKING:
    from perfmodel.kernel import Kernel
    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["provenance_blocks"]

_MEANING = {
    "measured": "fitted to what was measured on this machine",
    "published": "taken from somebody's publication, with a wide spread",
    "derived": "computed from other constants",
    "assumed": "nobody's measurement: an order of magnitude with a wide spread",
    "unknown": "not known; what depends on it is not predicted",
}


def provenance_blocks(
    machine: Machine, kernels: list[Kernel], table: ObservationTable | None
) -> list[Block]:
    """Return what the constants, the rules and the scenarios rest on.

    Parameters
    ----------
    machine : Machine
        The profile used throughout.
    kernels : list of Kernel
        The releases that the report speaks of.
    table : ObservationTable, optional
        The data given beside the profile.
    """
    groups: dict[str, list[str]] = {}
    for name, constant in machine.constants.items():
        groups.setdefault(origin(constant), []).append(name)
    rows: list[list[Cell]] = [
        [kind, _MEANING.get(kind, "as its source says"), ", ".join(names)]
        for kind, names in groups.items()
    ]
    columns = [Column("origin"), Column("meaning", wrap=True), Column("constants", wrap=True)]
    blocks: list[Block] = [
        Heading("Where the numbers come from", 2),
        Table(columns, rows, f"Constants of {machine.name} (evidence: {machine.evidence})"),
        Text(
            "Every hold, wait and net gain is derived: computed from these constants and the rules of"
            " the kernel, under the scenario's own rates and sizes. No downgrade in mprotect was"
            " measured: no kernel has one. What is assumed in a scenario is said beside it."
        ),
        Text("Files the profile was fitted to, and files read for this report:"),
        Bullets(
            [f"fitted: {f.file} ({f.format}), sha256 {f.sha256}" for f in machine.inputs]
            + _files(table)
        ),
    ]
    for kernel in kernels:
        sources: list[list[Cell]] = [
            [name, str(kernel.fact(name).value), source]
            for name, source in kernel.sources().items()
        ]
        blocks.append(
            Table(
                [Column("rule"), Column("value", wrap=True), Column("source", wrap=True)], sources,
                f"Rules of kernel {kernel.release}, read in its source",
            )
        )  # fmt: skip
    return blocks


def _files(table: ObservationTable | None) -> list[str]:
    if table is None:
        return []
    seen = {g.source.file: g.source for g in table.groups}
    return [f"read: {s.file} ({s.format}), sha256 {s.sha256}" for s in seen.values()]
