"""A calibration in blocks: what was found, what cannot be told, how far off it is and where.

Also what to measure next: the run that would shrink the interval of an answer most.
"""

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
from perfmodel.report.numbers import Z90, error_text, number_text, share_text, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from perfmodel.fit import Advice, Calibration, Suggestion
    from perfmodel.machine import Machine
    from perfmodel.report.held_out import HeldOut

__all__ = ["advice_blocks", "calibration_blocks", "held_out_blocks", "worst_table"]

#: Points shown of those that are most wrong.
WORST = 12

#: Suggestions shown.
_TOP = 3

#: Factor by which an end of the profile interval must differ from the covariance's to be shown.
_APART = 1.1

#: How the times of a point are known, for a person.
_FORMS = {
    "events": "single events or fine bins: their median",
    "bins": "bins of a histogram: likelihood of the median",
    "stamps": "microsecond time stamps: likelihood of the median",
    "moments": "mean and spread, or a throughput: the median that the mean tells of",
}


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
        *_profile_blocks(machine),
        *_nested_blocks(machine),
        *_evidence_blocks(machine),
        *fit_blocks(machine, with_check=held_out is None),
        worst_table(residuals, "The points that the fit misses most"),
    ]
    if held_out is not None:
        blocks += held_out_blocks(held_out)
    return blocks


def _profile_blocks(machine: Machine) -> list[Block]:
    """Show where the profile likelihood says something else than the covariance."""
    known = (machine.fit.get("intervals") or {}).get("constants") or {}
    rows: list[list[Cell]] = []
    agreeing = 0
    for name, found in known.items():
        constant = machine.constants.get(name)
        if constant is None or not constant.value:
            continue
        factor = math.exp(Z90 * (constant.log_sd or 0.0))
        ends = (constant.value / factor, constant.value * factor)
        apart = [
            not (e is not None and 1 / _APART < e / end < _APART)
            for e, end in zip((found["low"], found["high"]), ends, strict=True)
        ]  # fmt: skip
        # The covariance of a wake-up carries its spread over sleeps, which no likelihood shows.
        wider = name == "wake_latency" and machine.fit.get("sleep_spread_log_sd")
        if not any(apart) or wider:
            agreeing += 1
            continue
        low, high = ("" if e is None else number_text(e) for e in (found["low"], found["high"]))
        identified = found["verdict"] == "identified"
        rows.append(
            [name, number_text(constant.value), constant.unit, low, high,
             f"{number_text(ends[0])} to {number_text(ends[1])}",
             Mark(found["verdict"], "plain" if identified else "bad")]
        )  # fmt: skip
    if not known:
        return []
    blocks: list[Block] = [Heading("How well the data know each constant", 3)]
    text = (
        f"Along each constant the likelihood was followed, all others refitted. For {agreeing} of"
        f" {agreeing + len(rows)} its 90 % interval has the ends that the covariance gives, within"
        f" {100 * (_APART - 1):.0f} %"
    )
    blocks.append(Text(text + ("; for these not:" if rows else ".")))
    if rows:
        columns = [
            Column("constant"), Column("value", True), Column("unit"), Column("low", True),
            Column("high", True), Column("by the covariance"), Column("the data say"),
        ]  # fmt: skip
        blocks.append(
            Table(columns, rows, "Profile likelihood, 90 %; a side without a bound is empty")
        )
    return blocks


def _nested_blocks(machine: Machine) -> list[Block]:
    """Say which parts of the model the data ask for."""
    rows = machine.fit.get("nested") or []
    if not rows:
        return []
    return [
        Heading("Which parts of the model the data ask for", 3),
        Bullets(
            [f"{r['question']} {str(r['answer']).capitalize()}: {r['sentence']}" for r in rows]
        ),
    ]


def _evidence_blocks(machine: Machine) -> list[Block]:
    """Show what the fit rests on, by evidence class."""
    rows = machine.fit.get("evidence") or []
    if not rows:
        return []
    columns = [
        Column("class"), Column("how the times are known", wrap=True), Column("points", True),
        Column("events", True), Column("median error", True),
    ]  # fmt: skip
    cells: list[list[Cell]] = [
        [r["evidence"], _FORMS.get(r["form"], r["form"]), str(r["points"]), str(r["events"]),
         error_text(r["median_log_sd"])]
        for r in rows
    ]  # fmt: skip
    return [
        Table(columns, cells, "What the fit rests on; median error: of a point, by sampling alone")
    ]


def advice_blocks(
    advice: Advice, question: str, *, policy: str, run: str = "more.json"
) -> list[Block]:
    """Return what to measure next, with the commands.

    Parameters
    ----------
    advice : Advice
    question : str
        The scenario, in a few words.
    policy : str
        The cut whose net gain is asked for.
    run : str
        File that the commands write.
    """
    blocks: list[Block] = [
        Heading("What to measure next", 3),
        Text(
            f"The answer: net gain of {policy}, {question}. Its 90 % interval is"
            f" +- {time_text(advice.half_width)} to first order."
        ),
    ]
    good = advice.worthwhile[:_TOP]
    if good:
        columns = [
            Column("command"), Column("then", True), Column("shrinks by", True),
            Column("most by", wrap=True),
        ]  # fmt: skip
        rows: list[list[Cell]] = [
            [f"perfmodel measure --group {s.group} -o {run}", f"+- {time_text(s.half_width)}",
             share_text(s.shrinks), s.what]
            for s in good
        ]  # fmt: skip
        blocks += [
            Table(
                columns, rows, "Expected half width after one more run, calibrated with the others"
            ),
        ]
    else:
        blocks.append(
            Text(
                "No measurement that this machine can make would help: the best,"
                f" {_best(advice)}, would shrink it by less than 1 %.", "strong",
            )
        )  # fmt: skip
    if advice.elsewhere:
        best = advice.elsewhere[0]
        here = f"{advice.cpus} are assumed here, for the profile does not say" if advice.assumed else (
            f"this one has {advice.cpus}"
        )  # fmt: skip
        blocks.append(
            Text(
                f"On a machine with {best.cpus} CPUs or more ({here}),"
                f" {best.what} would shrink it by {share_text(best.shrinks)}; on its own profile, for"
                " costs differ between machines."
            )
        )
    if advice.stays:
        blocks.append(Text("What stays, whatever is measured here, of today's variance:"))
        blocks.append(Bullets([f"{share_text(share)}: {what}" for what, share in advice.stays]))
    return blocks


def _best(advice: Advice) -> str:
    if not advice.suggestions:
        return "none"
    best: Suggestion = advice.suggestions[0]
    return f"perfmodel measure --group {best.group} ({best.what})"


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
