"""The natural experiment in blocks: munmap, which downgrades, beside mprotect, which does not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from perfmodel.report.blocks import Block, Cell, Column, Heading, Table, Text
from perfmodel.report.numbers import share_text, time_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["natural_blocks"]


def natural_blocks(frame: pd.DataFrame) -> list[Block]:
    """Return two tables: what faults met during calls, and what the calls held.

    Parameters
    ----------
    frame : DataFrame
        As `perfmodel.fit.natural.natural_experiment` gives it.
    """
    blocks: list[Block] = [
        Heading("The natural experiment", 2),
        Text(
            "munmap downgrades mmap_lock in every kernel since 4.20, mprotect never does. One thread"
            " calls, another faults; 'measured / predicted' throughout. Measured: here. Predicted:"
            " from the profile, which was not fitted to faults under a working caller."
        ),
    ]
    if frame.empty:
        return [*blocks, Text("The data hold no fault latencies during calls.")]
    columns = [
        Column("call"), Column("faults hit"), Column("pages", True), Column("faults", True),
        Column("blocked", True), Column("mean latency", True), Column("idle", True),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [_call(r), str(r["target"]), f"{r['pages']:g}", str(r["faults"]),
         f"{_share(r['blocked_measured'])} / {_share(r['blocked_predicted'])}",
         _pair(r, "latency"), time_text(r["idle_ns"], 2)]
        for r in frame.to_dict("records")
    ]  # fmt: skip
    blocks.append(Table(columns, rows, "What a fault met that began while a call ran"))
    held: dict[tuple[Any, ...], list[Cell]] = {}
    for r in frame.to_dict("records"):
        key = (r["operation"], r["transition"], r["pages"])
        held.setdefault(
            key, [_call(r), str(r["policy"]), f"{r['pages']:g}", _pair(r, "exclusive"),
                  _pair(r, "shared"), _pair(r, "call")]
        )  # fmt: skip
    columns = [
        Column("call"), Column("what the kernel does"), Column("pages", True),
        Column("exclusive", True), Column("shared", True), Column("call", True),
    ]  # fmt: skip
    caption = (
        "Exclusive and shared: what the call holds when it is made alone (tracepoints; n/a: not"
        " traced). Call: how long it takes while the other thread faults"
    )
    blocks.append(Table(columns, list(held.values()), caption))
    return blocks


def _call(row: Any) -> str:
    transition = "" if row["transition"] == "none" else row["transition"]
    return f"{row['operation']} {transition}".strip()


def _share(value: float) -> str:
    return "n/a" if math.isnan(value) else share_text(value)


def _pair(row: Any, name: str) -> str:
    def put(value: float) -> str:
        return "n/a" if math.isnan(value) else time_text(value, 2)

    return f"{put(row[f'{name}_measured_ns'])} / {put(row[f'{name}_predicted_ns'])}"
