"""What holds the numbers up: a separate run, munmap's downgrade, a downgradable lock, published pairs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perfmodel.counterfactual import GROUPS, score
from perfmodel.counterfactual.compare import EFFECTS
from perfmodel.report.blocks import Block, Cell, Column, Heading, Table, Text
from perfmodel.report.numbers import error_text, number_text, share_text, time_text
from perfmodel.results import LEVEL
from perfmodel.validation.limits import KINDS
from perfmodel.writeup.numbering import about, ref

if TYPE_CHECKING:
    import pandas as pd

    from perfmodel.validation.result import Summary
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]

#: Calls of the natural experiment's table, and the sizes shown of them.
_CALLS = (("mprotect", "RW->R"), ("munmap", "none"))
_SIZES = (1, 512, 4096, 16384)

_ON = {"throughput": "reads a second", "wait": "mean wait of a read", "calls": "calls a second"}


def blocks(material: Material) -> list[Block]:
    """Return the four checks; one that cannot be made says why."""
    return [
        Heading("Validation", 2),
        *_held_out(material),
        *_natural(material),
        *_downgradable(material),
        *_published(material),
    ]


def _held_out(material: Material) -> list[Block]:
    found = material.validation
    head = Heading("A run that nothing was fitted to", 3)
    if found is None:
        return [head, Text("No such run was given: nothing is held against it.", "strong")]
    rows: list[list[Cell]] = [
        [KINDS[s.kind], str(s.rows), number_text(s.ratio, 2) if s.ratio > 0 else "", _error(s, s.median),
         _error(s, s.p90), share_text(s.coverage)]
        for s in found.kinds
    ]  # fmt: skip
    columns = [
        Column("measured", wrap=True), Column("numbers", True), Column("pred./meas.", True),
        Column("median error", True), Column("90 % below", True), Column("in interval", True),
    ]  # fmt: skip
    shown = material.figure("validation")
    verdict = "it passes" if found.passed else f"it falls short in {len(found.failures)} respects"
    return [
        head,
        Text(
            f"{len(found.rows)} numbers of a second run are predicted from the profile alone"
            f" ({ref('table', 'held out')}). {share_text(found.coverage)} lie within their"
            f" {100 * LEVEL:.0f} % interval; the threshold, set before, is"
            f" {share_text(found.coverage_threshold)}: {verdict}. Worst: {_worst(found.kinds)}."
            + about(shown, "shows latencies of faults, measured and predicted.")
        ),
        Table(columns, rows, "Held-out run: median of predicted over measured, absolute errors, share within"
              " the interval (pp: percentage points)", ref("table", "held out")),
        *shown,
    ]  # fmt: skip


def _error(summary: Summary, error: float) -> str:
    if summary.kind == "blocked" and math.isfinite(error):
        return f"{100 * error:.1f} pp"
    return error_text(error)


def _worst(kinds: tuple[Summary, ...]) -> str:
    """Name the two kinds that are covered worst."""
    known = sorted((s for s in kinds if math.isfinite(s.coverage)), key=lambda s: s.coverage)
    return "; ".join(f"{KINDS[s.kind]}, {share_text(s.coverage)}" for s in known[:2])


def _natural(material: Material) -> list[Block]:
    frame = material.natural
    head = Heading("The natural experiment", 3)
    if frame is None:
        return [head, Text("The data hold no fault latencies beside a caller.", "strong")]
    rows = [
        _row(one)
        for operation, transition in _CALLS
        for one in _cases(frame, operation, transition).to_dict("records")
    ]
    columns = [
        Column("call"), Column("exclusive, alone", True), Column("shared, alone", True),
        Column("beside faults", True), Column("faults blocked", True), Column("mean latency", True),
    ]  # fmt: skip
    shown = material.figure("natural_experiment")
    return [
        head,
        Text(
            "munmap downgrades the same lock on the same machine, mprotect does not. One thread calls, another"
            f" faults in memory that the call does not touch ({ref('table', 'natural')}). The model was fitted"
            " to neither column of faults."
            + about(shown, "shows each fault over the moment at which it began.")
        ),
        Table(columns, rows, "Measured / predicted; alone: what the call holds when nothing else runs"
              " (tracepoints); faults: those that began during a call", ref("table", "natural")),
        *shown,
    ]  # fmt: skip


def _cases(frame: pd.DataFrame, operation: str, transition: str) -> pd.DataFrame:
    """Return one row a size: the busiest caller that was recorded."""
    some = frame[(frame.operation == operation) & (frame.transition == transition)]
    some = some[(some.target == "fresh_vma") & some.pages.isin(_SIZES)]
    return some.sort_values(["pages", "duty"]).drop_duplicates("pages", keep="last")


def _row(one: dict[str, float | str]) -> list[Cell]:
    def pair(name: str) -> str:
        values = (float(one[f"{name}_measured_ns"]), float(one[f"{name}_predicted_ns"]))
        return " / ".join("n/a" if math.isnan(v) else time_text(v) for v in values)

    blocked = " / ".join(share_text(float(one[f"blocked_{w}"])) for w in ("measured", "predicted"))
    pages = f"{float(one['pages']):.0f}"
    return [f"{one['operation']}, {pages} page{'' if pages == '1' else 's'}", pair("exclusive"),
            pair("shared"), pair("call"), blocked, pair("latency")]  # fmt: skip


def _downgradable(material: Material) -> list[Block]:
    found = material.downgradable
    head = Heading("A lock that one can downgrade", 3)
    if found is None:
        return [head, Text("No run of it is recorded.", "strong")]
    run, comparisons = found
    rows: list[list[Cell]] = []
    for name in EFFECTS:
        for group in (*GROUPS, ""):
            some = [c for c in comparisons if group in ("", c.configuration.group)]
            if not some:
                continue
            s = score(some, name)
            rows.append(
                [_ON[name], group or "all", str(s.count - s.disturbed), f"{s.right} of {s.significant}",
                 str(s.by_guess), f"{s.by_chance:.1f}",
                 number_text(s.ratio_median, 2) if math.isfinite(s.ratio_median) else ""]
            )  # fmt: skip
    columns = [
        Column("effect on"), Column("mixes"), Column("undisturbed", True), Column("sign right", True),
        Column("by guess", True), Column("wrong by chance", True), Column("pred./meas.", True),
    ]  # fmt: skip
    shown = material.figure("counterfactual")
    return [
        head,
        Text(
            "mprotect cannot be made to downgrade on a stock kernel. So a lock in user space with rwsem's rules"
            " was run with the downgrade and without it, in alternating slices, on real cores"
            f" ({run.cpus} CPUs), over {len(comparisons)} mixes of threads and holds"
            f" ({ref('table', 'downgradable')}); predictions use its own costs, timed apart from the grid. It"
            " holds no page tables and no TLBs: it tests the lock's half of the model alone."
            + about(shown, "shows each mix.")
        ),
        Table(columns, rows, "Effects of the downgrade beyond their own noise: signs foretold; right by saying"
              " that it always helps; wrong by chance alone for a perfect model; median of predicted over"
              " measured", ref("table", "downgradable")),
        *shown,
    ]  # fmt: skip


def _published(material: Material) -> list[Block]:
    found = material.published
    head = Heading("What others published", 3)
    if isinstance(found, str):
        return [head, Text(f"Not compared: {found}", "strong")]
    silent = [r for r in found.results if r.silent]
    shown = material.figure("published") if material.appendix else []
    where = f" ({shown[0].label})" if shown else ""
    return [
        head,
        Text(
            f"Of {len(found.results)} before/after pairs that others published the model speaks to"
            f" {len(found.results) - len(silent)}, in {len(found.comparisons)} numbers, of which {found.hits} lie"
            f" within the interval{where}. Several numbers of a pair hang on one constant: hits and misses are"
            f" not independent. It is silent on {', '.join(r.pair.id for r in silent)}; perfmodel published says"
            " why, and names every source."
        ),
        *shown,
    ]
