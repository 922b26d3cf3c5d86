"""A validation in blocks: the answer, each kind and operation, the rows that were missed most."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Mark, Table, Text
from perfmodel.report.machine import left_out_lines
from perfmodel.report.numbers import error_text, number_text, share_text, time_text
from perfmodel.results import LEVEL
from perfmodel.validation.limits import KINDS

if TYPE_CHECKING:
    from perfmodel.validation import Row, Validation
    from perfmodel.validation.blind import Blind
    from perfmodel.validation.result import Summary

__all__ = ["blind_blocks", "validation_blocks", "value_text"]

#: Rows shown of those that are missed most.
WORST = 12


def validation_blocks(
    found: Validation, *, brief: bool = False, every: bool = False
) -> list[Block]:
    """Return the report of a validation.

    Parameters
    ----------
    found : Validation
    brief : bool
        Whether to leave out everything but the answer and the table of kinds and operations.
    every : bool
        Whether to list every row.
    """
    blocks: list[Block] = [_answer(found), _summary(found)]
    if found.failures:
        blocks.append(Bullets(found.failures))
    if brief:
        return blocks
    blocks = [Heading(f"Validation of {found.machine} ({found.evidence})", 2), *blocks]
    if every:
        blocks += [
            _rows(rows, f"{kind}: {meaning}") for kind, meaning in KINDS.items()
            if (rows := found.of(kind))
        ]  # fmt: skip
    else:
        order = sorted(found.rows, key=_missed, reverse=True)
        blocks.append(_rows(order[:WORST], "The rows that are missed most (--all lists every row)"))
    blocks.append(Bullets([f"{f} (sha256 {h[:12]})" for f, h in found.files.items()]))
    if found.left_out or found.warnings:
        blocks += [
            Heading("Not compared, or to be doubted", 3),
            Bullets([*found.warnings, *left_out_lines(found.left_out)]),
        ]
    return blocks


def _missed(row: Row) -> float:
    size = abs(row.error) if row.unit == "1" else abs(math.log(row.ratio)) if row.ratio > 0 else 9.0
    return size if math.isfinite(size) else math.inf


def _answer(found: Validation) -> Text:
    known = sum(r.covered is not None for r in found.rows)
    sentence = (
        f"{'passed' if found.passed else 'FELL SHORT'}: {known} of {len(found.rows)} measured numbers"
        f" predicted; {share_text(found.coverage)} of them lie within their {100 * LEVEL:.0f} %"
        f" interval (nominal {100 * LEVEL:.0f} %, threshold {100 * found.coverage_threshold:.0f} %)."
    )
    return Text(f"Validation {sentence}", "good" if found.passed else "bad")


def _summary(found: Validation) -> Table:
    columns = [
        Column("what"), Column("of"), Column("rows", True), Column("pred./meas.", True),
        Column("median error", True), Column("90 % below", True), Column("threshold", True),
        Column("in interval", True),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for s in found.by_operation:
        limit = found.thresholds[s.kind]
        rows.append(
            [s.kind, s.operation, str(s.rows), number_text(s.ratio, 2) if s.ratio > 0 else "-",
             Mark(_error(s, s.median), "plain" if s.median <= limit else "bad"), _error(s, s.p90),
             _error(s, limit), share_text(s.coverage)]
        )  # fmt: skip
    caption = (
        "Median of predicted over measured, median and 90 % quantile of the absolute error (pp:"
        f" percentage points), share within the {100 * LEVEL:.0f} % interval of one measurement"
    )
    return Table(columns, rows, caption)


def _error(summary: Summary, error: float) -> str:
    if summary.kind == "blocked" and math.isfinite(error):
        return f"{100 * error:.1f} pp"
    return error_text(error)


def value_text(value: float, unit: str) -> str:
    """Write a number of a row with its unit."""
    if unit == "ns":
        return time_text(value)
    if unit == "1":
        return share_text(value)
    for prefix, scale in (("M", 1e6), ("k", 1e3)):
        if unit == "1/s" and abs(value) >= scale:
            return f"{number_text(value / scale)} {prefix}/s"
    return number_text(value) + (f" {unit}" if math.isfinite(value) else "")


def _rows(rows: list[Row] | tuple[Row, ...], caption: str) -> Table:
    columns = [
        Column("what"), Column("of"), Column("conditions", wrap=True), Column("measured", True),
        Column("predicted", True), Column("ratio", True), Column(f"{100 * LEVEL:.0f} % interval"),
    ]  # fmt: skip
    cells: list[list[Cell]] = []
    for r in rows:
        within = "" if not math.isfinite(r.low) else (
            f"{value_text(r.low, r.unit)} to {value_text(r.high, r.unit)}"
        )  # fmt: skip
        cells.append(
            [r.kind, r.operation, _conditions(r.conditions), value_text(r.measured, r.unit),
             value_text(r.predicted, r.unit),
             "-" if not math.isfinite(r.ratio) else number_text(r.ratio, 2),
             Mark(within or r.reason, "plain" if r.covered else "bad")]
        )  # fmt: skip
    return Table(columns, cells, caption)


def _conditions(conditions: Any) -> str:
    told = []
    for name, value in conditions.items():
        if value in (0, "none", False) and name != "populated":
            continue
        told.append(str(value) if name in ("transition", "shape") else f"{name} {value:g}"
                    if isinstance(value, (int, float)) and not isinstance(value, bool) else name)  # fmt: skip
    return ", ".join(told)


def blind_blocks(found: Blind) -> list[Block]:
    """Return what was predicted of munmap by a fit that has seen none."""
    parts: list[list[Cell]] = [
        [p.name, time_text(p.ns), "fitted without munmap" if p.fitted else "published elsewhere"]
        for p in found.parts
    ]
    holds = [r for r in found.rows if r.kind in ("exclusive", "shared")]
    calls = [r for r in found.rows if r.kind == "call"]
    faults = [r for r in found.rows if r.kind == "blocked"]
    blocks: list[Block] = [
        Heading("munmap's downgrade, predicted without having seen a munmap", 2),
        Text(
            "Fitted: mprotect, userfaultfd write-protect, wake-ups and costs timed by themselves. Not"
            " fitted, and what stands for it:"
        ),
        Bullets([f"{n}: {why}" for n, why in found.stand_ins.items()]),
    ]
    if parts:
        blocks.append(
            Table([Column("piece"), Column("time", True), Column("its constants")], parts,
                  "The exclusive part before the downgrade, smallest munmap, one split:"
                  f" {share_text(found.fitted_share)} of it is fitted")
        )  # fmt: skip
    if holds:
        blocks.append(_rows(holds, "What munmap holds (tracepoints)"))
    if faults:
        caption = (
            "Share of the faults begun while munmap runs that it blocks (--json has the latencies)"
        )
        blocks.append(_rows(faults, caption))
    if calls:
        errors = sorted(abs(r.error) for r in calls)
        within = sum(bool(r.covered) for r in calls) / len(calls)
        blocks.append(
            Text(
                f"The whole call, most of it unmapping pages: median error"
                f" {error_text(errors[len(errors) // 2])} over {len(calls)} shapes and sizes,"
                f" {share_text(within)} of them within the interval."
            )
        )
    return blocks
