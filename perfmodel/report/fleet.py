"""A fleet compared, as blocks: one ranking for each kind of evidence, and what could not be read."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from perfmodel.fleet.comparison import EVIDENCE, Comparison, Crossing, Gain, Row
from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Mark, Table
from perfmodel.report.numbers import error_text, gain_text, probability_text, share_text
from perfmodel.report.prediction import scenario_lines, scenario_title
from perfmodel.results import LEVEL

if TYPE_CHECKING:
    from perfmodel.fleet.calibrating import FleetCalibration

__all__ = ["calibration_blocks", "comparison_blocks"]

#: Damaged profiles that are named one by one.
_NAMED = 20


def comparison_blocks(found: Comparison, top: int | None = None) -> list[Block]:
    """Return a comparison as blocks.

    Parameters
    ----------
    found : Comparison
    top : int, optional
        Rows of each ranking that are shown. Default: all.
    """
    # What follows from a machine, such as the CPUs to flush, is another number on each.
    blocks: list[Block] = [
        Heading(f"{len(found.rows):,} machines: {scenario_title(found.scenario)}", 3),
        Bullets([line for line in scenario_lines(found.scenario) if not line.startswith("Call:")]),
    ]
    for evidence, words in EVIDENCE.items():
        rows = found.of(evidence)
        if rows:
            blocks += [Heading(f"{evidence.capitalize()}: {words}", 4), _table(found, rows, top)]
    return [*blocks, Bullets(_remarks(found, top))]


def _table(found: Comparison, rows: tuple[Row, ...], top: int | None) -> Table:
    columns = [
        Column("rank", True), Column("machine", wrap=True), Column("verdict"), Column("cut"),
        Column("net gain a call [90 %]", True), Column("P(pays)", True),
        Column("best safe policy", wrap=True),
    ]  # fmt: skip
    if found.over:
        columns.append(Column(f"{found.over}: gains", True, wrap=True))
    cells = [_row(found, row) for row in rows[:top]]
    answers = Counter(row.verdict for row in rows)
    counted = ", ".join(f"{n:,} {answer}" for answer, n in answers.most_common())
    shown = "" if len(cells) == len(rows) else f"; the first {len(cells):,} of {len(rows):,}"
    return Table(columns, cells, f"{counted}{shown}")


def _row(found: Comparison, row: Row) -> list[Cell]:
    cut = _gain(row.cut)
    name = row.name if row.inside_stated_region or row.why else f"{row.name} *"
    verdict: Cell = row.verdict
    if row.verdict == "unsafe":
        # In brackets: nobody may have it.
        cut, verdict = f"({cut})", Mark(f"unsafe (else: {row.verdict_if_safe})", "bad")
    safe = row.best_safe.policy
    if math.isfinite(row.best_safe.p_pays):
        safe += f" {_gain(row.best_safe)}"
    cells: list[Cell] = [
        str(row.rank or "-"), name, verdict, row.cut.policy, cut,
        probability_text(row.cut.p_pays, found.draws), safe,
    ]  # fmt: skip
    if found.over:
        told = "; ".join(map(_crossing, row.crossings))
        cells.append(told or row.turns)
    return cells


def _gain(gain: Gain) -> str:
    return gain_text(gain.estimate, gain.low, gain.high)


def _crossing(crossing: Crossing) -> str:
    def end(value: float) -> str:
        return f"{value:.3g}" if math.isfinite(value) else "?"

    text = f"{crossing.pays} {crossing.value:.3g}"
    if crossing.low == crossing.high:
        return text
    return f"{text} [{end(crossing.low)}, {end(crossing.high)}]"


def _remarks(found: Comparison, top: int | None) -> list[str]:
    said = [
        "Ranked by net gain among profiles of the same evidence; gains in brackets are of what is unsafe."
    ]
    shown = [row for evidence in EVIDENCE for row in found.of(evidence)[:top]]
    if any(not row.inside_stated_region and not row.why for row in shown):
        said.append("*: outside the region in which the closed form's error was checked: ask 'perfmodel"
                    " predict --machine' of that profile.")  # fmt: skip
    if found.over:
        first, last, values = found.span
        unit = "" if found.unit in ("", "1") else f" {found.unit}"
        said.append(f"{found.over}: where the judged cut's gain changes sign between {first:g} and"
                    f" {last:g}{unit}, by straight lines between {values} values; {100 * LEVEL:g} % interval,"
                    " ? where it ends beyond them. 'perfmodel break-even' narrows one down.")  # fmt: skip
    unknown = Counter(row.why for row in found.rows if row.why)
    said += [f"{n:,} without an answer: {why}." for why, n in unknown.most_common()]
    if found.repeated:
        said.append(f"{found.repeated:,} given more than once, and counted once.")
    if found.damaged:
        count = len(found.damaged)
        said.append(f"{count:,} that cannot be read as a profile ({share_text(count / (count + len(found.rows)))}"
                    " of what was given):")  # fmt: skip
        said += [f"{d.source}: {d.field + ': ' if d.field else ''}{d.what}."
                 for d in found.damaged[:_NAMED]]  # fmt: skip
        if count > _NAMED:
            said.append(f"and {count - _NAMED:,} more: --json names them all.")
    return said


def calibration_blocks(found: FleetCalibration) -> list[Block]:
    """Return what became of the runs of a fleet as blocks."""
    columns = [
        Column("machine"),
        Column("evidence"),
        Column("files", True),
        Column("fit error", True),
    ]
    rows = [[p.name, p.evidence, f"{p.files:,}", error_text(p.median_absolute_error)]
            for p in found.profiles]  # fmt: skip
    failed = [f"{f.name}: no profile: {f.what}" for f in found.failed]
    return [Table(columns, rows, "fit error: median over the points of each fit"), Bullets(failed)]
