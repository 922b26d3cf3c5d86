"""``perfmodel read``: what a file was taken for, and what was found in it."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfmodel.cli.output import JsonOption, bar, show, show_json
from perfmodel.cli.values import number
from perfmodel.quantities import Quantity

if TYPE_CHECKING:
    from perfmodel.observations import ObservationTable, ReadReport
    from perfmodel.report.blocks import Block

NAME = "read"
EPILOG = "Example: perfmodel read trace.txt results/ --json"

_TICK = Quantity(
    "tick_ns", "tick", "ns", (1e-6, 1e9), (0.2, 10), "length of a clock tick", "caller"
)

#: Skipped lines shown of one file; --json has all.
_SKIPPED_SHOWN = 10


def command(
    files: Annotated[
        list[Path], typer.Argument(help="Files and folders: benchmark runs and traces.")
    ],
    *,
    tick_ns: Annotated[
        str | None,
        typer.Option("--tick-ns", metavar="NS", help="Length of one clock tick of a trace that is"
                     " stamped in ticks (clock x86-tsc) and does not say it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Say what each file was taken for and what was found in it.

    Formats are told by content, plain or gzip: runs of 'perfmodel measure'; traces of the mmap_lock
    tracepoints (ftrace, trace-cmd, perf script, and their binary recordings where the tool is there);
    histograms (bpftrace, funclatency); aggregates (perf lock, lock_stat, klockstat, hyperfine, google-
    and pytest-benchmark); throughput (will-it-scale, stress-ng, lmbench, perf bench, LKP); counts (perf
    stat, perf trace -s, strace -c). Nothing is dropped in silence: lost events, orphans and skipped
    lines are counted with their reasons.
    """
    from perfmodel.readers import read

    tick = None if tick_ns is None else number(tick_ns, _TICK, "--tick-ns")
    with bar("reading") as tell:
        table = read(files, tick_ns=tick, progress=tell)
    if as_json:
        show_json([asdict(report) for report in table.reports])
        return
    show([b for report in table.reports for b in _report_blocks(report, table)])


def _report_blocks(report: ReadReport, table: ObservationTable) -> list[Block]:
    from perfmodel.report.blocks import Bullets, Cell, Column, Heading, Table, Text

    evidence = {
        "A": "per-event nanoseconds", "B": "per-event microseconds", "C": "histogram",
        "D": "aggregate", "E": "throughput", "F": "biased, counts only",
    }.get(report.evidence, "nothing usable")  # fmt: skip
    counts = [
        (report.events, "rates" if report.evidence == "E" else "events"),
        (report.holds_exclusive, "exclusive holds"),
        (report.holds_shared, "shared holds"), (report.downgrades, "downgrades"),
        (report.waits, "waits"), (report.failed_trylocks, "failed trylocks"),
        (report.lost, "LOST"), (report.orphaned, "orphaned"), (report.open, "still open at the end"),
    ]  # fmt: skip
    blocks: list[Block] = [
        Heading(report.file, 3),
        Text(f"Taken for {report.format} (evidence {report.evidence or 'none'}: {evidence}). Found: "
             + (", ".join(f"{n} {what}" for n, what in counts if n) or "nothing") + "."),
        Bullets([f"warning: {w}" for w in report.warnings]),
    ]  # fmt: skip
    if report.skipped:
        shown = [f"line {s.line} skipped: {s.reason}" for s in report.skipped[:_SKIPPED_SHOWN]]
        if len(report.skipped) > _SKIPPED_SHOWN:
            shown.append(f"... and {len(report.skipped) - _SKIPPED_SHOWN} more (--json has all)")
        blocks.append(Bullets(shown))
    kinds: dict[tuple[str, str], list[float]] = {}
    totals: dict[tuple[str, str], int] = {}
    for group in table.groups:
        if group.source.file == report.file:
            key = (group.operation, group.phase)
            kinds.setdefault(key, []).append(group.median if group.moments is None else group.mean)
            totals[key] = totals.get(key, 0) + group.total
    rows: list[list[Cell]] = [
        [operation, phase, str(len(medians)), str(totals[operation, phase]),
         *_span(medians)]
        for (operation, phase), medians in kinds.items()
    ]  # fmt: skip
    if rows:
        columns = [
            Column("operation"), Column("phase"), Column("groups", True), Column("events", True),
            Column("smallest", True), Column("largest", True),
        ]  # fmt: skip
        what = "medians, or means where only those are told"
        blocks.append(Table(columns, rows, f"Observations by operation and phase: {what}"))
    return blocks


def _span(values: list[float]) -> list[str]:
    """Return the smallest and the largest of what is known of some groups."""
    from perfmodel.report.numbers import time_text

    known = [v for v in values if not math.isnan(v)]
    if not known:
        return ["counts only", ""]
    return ["beyond the last bin" if math.isinf(v) else time_text(v)
            for v in (min(known), max(known))]  # fmt: skip
