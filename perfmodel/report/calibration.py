"""A calibration in blocks: what was found, what cannot be told, how far off it is and where."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Mark, Table, Text
from perfmodel.report.held_out import GRID_OPERATIONS
from perfmodel.report.machine import (
    constants_table,
    errors_table,
    fit_blocks,
    left_out_lines,
    unknown_blocks,
)
from perfmodel.report.numbers import error_text, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from perfmodel.fit import Calibration
    from perfmodel.report.held_out import HeldOut

__all__ = ["calibration_blocks", "held_out_blocks", "worst_table"]

#: Points shown of those that are most wrong.
WORST = 12


def calibration_blocks(
    calibration: Calibration, held_out: HeldOut | None = None, *, brief: bool = False
) -> list[Block]:
    """Return the report of a calibration.

    Parameters
    ----------
    calibration : Calibration
    held_out : HeldOut, optional
    brief : bool
        Whether to leave out everything but the constants and the answer of the held-out check.
    """
    machine = calibration.machine
    if brief:
        return [
            constants_table(machine),
            *([] if held_out is None else [_answer(held_out)]),
        ]
    residuals = calibration.residuals()
    blocks: list[Block] = [
        Heading(f"Calibration of {machine.name}", 2),
        *([Text(machine.description)] if machine.description else []),
        constants_table(machine),
        *unknown_blocks(machine),
        *fit_blocks(machine, with_check=held_out is None),
        worst_table(residuals, "The points that the fit misses most"),
    ]
    if held_out is not None:
        blocks += held_out_blocks(held_out)
    return blocks


def worst_table(residuals: pd.DataFrame, caption: str, count: int = WORST) -> Table:
    """Return the points with the largest absolute error, whatever their operation."""
    order = residuals["error"].abs().sort_values(ascending=False, na_position="first").index
    columns = [
        Column("operation"), Column("phase"), Column("conditions", wrap=True),
        Column("measured", True), Column("predicted", True), Column("error", True),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [r["operation"], r["phase"], _conditions(r), time_text(r["measured_ns"]),
         time_text(r["predicted_ns"]), error_text(r["error"])]
        for r in residuals.loc[order[:count]].to_dict("records")
    ]  # fmt: skip
    return Table(columns, rows, caption)


def _conditions(row: Mapping[Any, Any]) -> str:
    words = [str(row[k]) for k in ("transition", "shape") if row[k]]
    for name in ("pages", "vmas", "populated", "spinners"):
        value = float(row[name])
        if math.isfinite(value):
            words.append(f"{name} {value:g}")
    if row["huge"]:
        words.append("huge")
    return ", ".join(words)


def _answer(check: HeldOut) -> Text:
    word = "passed" if check.passed else "FAILED"
    sentence = (
        f"{word}: the median absolute error over {check.points} points of"
        f" {', '.join(GRID_OPERATIONS)} is {error_text(check.median)}; the threshold is"
        f" {error_text(check.threshold)}."
    )
    if check.unpredicted:
        sentence += f" {check.unpredicted} of them cannot be predicted and count as wrong."
    return Text(f"Held-out check {sentence}", "good" if check.passed else "bad")


def held_out_blocks(check: HeldOut) -> list[Block]:
    """Return the held-out check: the answer, every operation and phase, the grids."""
    blocks: list[Block] = [
        Heading("Held-out check", 3),
        _answer(check),
        Bullets([f"{f} (sha256 {h[:12]})" for f, h in check.files.items()]),
        errors_table(
            check.by_phase().to_dict("records"),
            "Absolute error on the held-out run, by operation and phase",
        ),
    ]
    for operation in GRID_OPERATIONS:
        table = _grid(check, operation)
        if table is not None:
            blocks.append(table)
    blocks.append(worst_table(check.table, "The held-out points that are missed most"))
    if check.left_out or check.warnings:
        blocks += [
            Heading("Of the held-out run, not checked or to be doubted", 3),
            Bullets([*check.warnings, *left_out_lines(check.left_out)]),
        ]
    return blocks


def _grid(check: HeldOut, operation: str) -> Table | None:
    frame = check.grid(operation)
    if frame.empty:
        return None
    columns = [Column("pages", True), *(Column(f"{v:g} VMA", True) for v in frame.columns)]
    rows: list[list[Cell]] = []
    for pages, row in zip(frame.index, frame.to_numpy(), strict=True):
        cells: list[Cell] = [f"{float(pages):.0f}"]
        for error in row:
            if math.isnan(error):
                cells.append(Mark("", "dim"))
            else:
                cells.append(Mark(error_text(error), "bad" if error > check.threshold else "plain"))
        rows.append(cells)
    return Table(columns, rows, f"{operation}: median absolute error by pages and VMAs, held out")
