"""The kernel experiment in blocks: the answer, a table of effects, the points, the races."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from perfmodel.experiment.compare import Score, score
from perfmodel.experiment.configuration import CUTS
from perfmodel.experiment.quantities import QUANTITIES
from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Mark, Table, Text
from perfmodel.report.numbers import number_text, share_text, time_text

if TYPE_CHECKING:
    from perfmodel.experiment.compare import Row
    from perfmodel.experiment.quantities import Quantity
    from perfmodel.experiment.recorded import RaceCount, Recorded

__all__ = [
    "answer", "effect_table", "experiment_blocks", "experiment_json", "factor_text", "overloaded",
    "point_table", "race_table", "summary_table",
]  # fmt: skip

_CHANGED = tuple(cut for cut in CUTS if cut != "none")

#: The name of all cuts together.
_ANY = "any"

#: Points shown of those whose sign was missed.
_SHOWN = 12


def experiment_blocks(found: Recorded, *, brief: bool = False, every: bool = False) -> list[Block]:
    """Return the comparison of a prediction with what was measured.

    Parameters
    ----------
    found : Recorded
    brief : bool
        Whether to leave out everything but the answer and the summary.
    every : bool
        Whether to list every point and quantity; else the signs that were missed.
    """
    blocks: list[Block] = [answer(found), summary_table(found)]
    if brief:
        return blocks
    missed = [r for r in found.rows if r.hit is False]
    rows = [r for r in found.rows if r.cut != "none"] if every else missed[:_SHOWN]
    if rows:
        blocks.append(_points(rows, "Every point" if every else (
            f"Signs that were missed, {len(rows)} of {len(missed)} (--all lists every point)"
        )))  # fmt: skip
    if found.races:
        blocks.append(race_table(found.races))
    blocks += [
        Heading("Where it comes from", 3),
        Bullets([
            f"Everything measured here is {found.evidence}.",
            f"Predicted {found.prediction.written}, from "
            + ", ".join(f"{p.name} (sha256 {p.sha256[:12]})" for p in found.prediction.profiles)
            + f"; the file's sha256 begins {found.prediction.sha256[:12]}.",
            f"Measured after it: boots of {', '.join(sorted({s.boot for s in found.slices}))}.",
        ]),
    ]  # fmt: skip
    return blocks


def answer(found: Recorded) -> Text:
    """Return the outcome in a sentence."""
    effects = [r for r in found.rows if r.cut != "none"]
    alone = score(r for r in effects if not overloaded(r, found))
    all_of_them = score(effects)
    return Text(
        f"Emulated: of {all_of_them.significant} effects of a cut beyond their own noise the models"
        f" foretold the sign of {all_of_them.right} (saying that a cut always helps is right in"
        f" {all_of_them.by_guess}); where each vCPU has a CPU of the host, of {alone.significant} the"
        f" sign of {alone.right} (always helps: {alone.by_guess}), and a ratio to"
        f" {factor_text(alone.effect_error)} in the median."
    )


def overloaded(row: Row, found: Recorded) -> bool:
    """Whether more threads run than the host has CPUs for their vCPUs."""
    return row.configuration.crowds(found.host_cpus)


def factor_text(value: float) -> str:
    """Return a factor by which something is off: in per cent while it is small."""
    return f"{100 * (value - 1):.0f} %" if value < 2 else f"a factor of {value:.1f}"


def summary_table(found: Recorded, *, by_cut: bool = True) -> Table:
    """Return how each quantity came out, under each cut or under all of them together."""
    columns = [
        Column("effect on"), Column("cut"), Column("points", True), Column("beyond noise", True),
        Column("sign right", True), Column("off by (median)", True), Column("in interval", True),
        Column("boots differ by", True),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for name, quantity in QUANTITIES.items():
        for cuts in [(c,) for c in _CHANGED] if by_cut else [_CHANGED]:
            some = [
                r for r in found.rows
                if r.cut in cuts and r.predicted.quantity == name and not overloaded(r, found)
            ]  # fmt: skip
            if some:
                rows.append([_title(quantity), cuts[0] if by_cut else "all", *_cells(score(some))])
    crowded = [r for r in found.rows if r.cut != "none" and overloaded(r, found)]
    if crowded:
        rows.append(["all, more threads than CPUs", "all", *_cells(score(crowded))])
    if not by_cut:
        columns.pop(1)
        rows = [[row[0], *row[2:]] for row in rows]
    return Table(
        columns, rows,
        "Effect of each cut against none, paired within a boot. Beyond noise: further from no effect"
        " than 90 % of its own scatter; off by: predicted over measured effect, of the values where"
        " the effect is a difference; in interval: predicted 90 % interval and measured effect with"
        " its noise meet; boots differ by: of the values, median",
    )  # fmt: skip


def _title(quantity: Quantity) -> str:
    return {"call": "call time", "wait": "fault wait, mean", "blocked": "blocked share",
            "faults": "faults a second", "lost": "thread time a call"}.get(
        quantity.name, f"fault {quantity.name}"
    )  # fmt: skip


def _cells(found: Score) -> list[Cell]:
    error = found.effect_error if math.isfinite(found.effect_error) else found.value_error
    right: Cell = "-"
    if found.significant:
        tone = "plain" if found.right >= 0.8 * found.significant else "bad"
        right = Mark(str(found.right), tone)  # type: ignore[arg-type]
    return [
        str(found.rows), str(found.significant), right,
        factor_text(error) if math.isfinite(error) else "-", share_text(found.covered),
        share_text(found.boot_spread) if math.isfinite(found.boot_spread) else "-",
    ]  # fmt: skip


def _value(quantity: Quantity, value: float) -> str:
    if quantity.unit == "ns":
        return time_text(value)
    return share_text(value) if quantity.unit == "1" else f"{number_text(value / 1e3)} k/s"


def _effect(quantity: Quantity, value: float) -> str:
    if not math.isfinite(value):
        return "-"
    if quantity.relative:
        return f"x{number_text(value, 2)}"
    if quantity.unit == "ns":
        return f"{'+' if value > 0 else ''}{time_text(value, 2)}"
    return f"{100 * value:+.2g} pp"


def effect_table(found: Recorded, vcpus: int) -> Table:
    """Return every point of the guests of one size: each effect predicted and measured.

    Parameters
    ----------
    found : Recorded
    vcpus : int
    """
    shown = [n for n, q in QUANTITIES.items() if n[0] != "p" or q.name == "p99"]
    columns = [Column("point", wrap=True), Column("cut")]
    columns += [Column(_title(QUANTITIES[n]), True) for n in shown]
    at = {(r.configuration, r.cut, r.predicted.quantity): r for r in found.rows}
    points = sorted({r.configuration for r in found.rows if r.configuration.vcpus == vcpus})
    rows: list[list[Cell]] = []
    for point in points:
        # With one VMA every VMA is the last one.
        for cut in _CHANGED if point.vmas > 1 else _CHANGED[:2]:
            cells: list[Cell] = [point.name.rpartition(", ")[0], cut]
            for name in shown:
                r = at[point, cut, name]
                said = (
                    f"{_effect(r.quantity, r.predicted.effect)} / {_effect(r.quantity, r.effect)}"
                )
                told = {True: "plain", False: "bad", None: "dim"}[r.hit]
                cells.append(Mark(said, told))  # type: ignore[arg-type]
            rows.append(cells)
    return Table(
        columns, rows,
        f"Guests of {vcpus} vCPUs: effect of each cut against none, predicted / measured (median over"
        " the boots); a sign that was missed stands out, what is within its noise is dim",
    )  # fmt: skip


def point_table(found: Recorded, **which: Any) -> Table:
    """Return every quantity of the points with some properties, under each cut.

    Parameters
    ----------
    found : Recorded
    **which
        Properties of `perfmodel.experiment.Configuration`, for instance ``pages=4096``.
    """
    some = [
        r for r in found.rows
        if r.cut != "none" and all(getattr(r.configuration, n) == v for n, v in which.items())
    ]  # fmt: skip
    return _points(some, f"{len({r.configuration for r in some})} point(s)")


def _points(rows: Iterable[Row], caption: str) -> Table:
    columns = [
        Column("point", wrap=True), Column("cut"), Column("quantity"), Column("measured", True),
        Column("predicted", True), Column("effect", True), Column("predicted [90 %]"),
    ]  # fmt: skip
    cells: list[list[Cell]] = []
    for r in rows:
        p, q = r.predicted, r.quantity
        within = f"{_effect(q, p.effect_low)} to {_effect(q, p.effect_high)}"
        mark: Any = "bad" if r.hit is False else "dim" if r.hit is None else "plain"
        cells.append([
            r.configuration.name, r.cut, _title(q), _value(q, r.measured), _value(q, p.value),
            Mark(_effect(q, r.effect), mark), f"{_effect(q, p.effect)} [{within}]",
        ])  # fmt: skip
    return Table(columns, cells, f"{caption}; effects against no cut, dim within their own noise")


def race_table(races: Sequence[RaceCount], *, by_cut: bool = True) -> Table:
    """Return what became of the races, under each cut or under none and any."""
    if not by_cut:
        races = [_together([r for r in races if (r.name, r.rule, r.cut != "none") == key], cut=key[2])
                 for key in dict.fromkeys((r.name, r.rule, r.cut != "none") for r in races)]  # fmt: skip
    columns = [
        Column("race"), Column("cut"), Column("rules of 6.1"), Column("rounds", True),
        Column("met", True), Column("lost a store", True),
    ]  # fmt: skip
    order = [*CUTS, _ANY]
    rows: list[list[Cell]] = [
        [r.name, r.cut, f"without {r.rule}" if r.rule else "all", str(r.rounds), str(r.met),
         Mark(str(r.reproduced), "bad" if r.reproduced else "plain")]
        for r in sorted(races, key=lambda r: (r.name, r.rule, order.index(r.cut)))
    ]  # fmt: skip
    return Table(
        columns, rows,
        "Races tried on the cut kernel (emulated); met: rounds in which the second actor did its part"
        " within the call, the others could not have shown anything",
    )  # fmt: skip


def _together(races: Sequence[RaceCount], *, cut: bool) -> RaceCount:
    """Return the counts of one race under some cuts as one."""
    sums = {n: sum(getattr(r, n) for r in races) for n in ("rounds", "met", "reproduced")}
    return replace(races[0], cut=_ANY if cut else "none", **sums)


def experiment_json(found: Recorded) -> dict[str, Any]:
    """Return everything as JSON-ready values; what is unknown is None."""

    def known(value: float) -> float | None:
        return float(f"{value:.6g}") if math.isfinite(value) else None

    rows = []
    for r in found.rows:
        p = r.predicted
        numbers = {
            "measured": r.measured, "measured_none": r.measured_none, "effect": r.effect,
            "error": r.error, "boot_spread": r.boot_spread, "predicted": p.value, "low": p.low,
            "high": p.high, "predicted_effect": p.effect, "effect_low": p.effect_low,
            "effect_high": p.effect_high,
        }  # fmt: skip
        rows.append(
            {"point": r.configuration.name, "cut": r.cut, "quantity": p.quantity,
             "unit": r.quantity.unit, "pairs": r.pairs, "boots": r.boots, "solver": p.solver,
             "hit": r.hit} | {n: known(v) for n, v in numbers.items()}
        )  # fmt: skip
    return {
        "schema": "perfmodel.experiment/1", "evidence": found.evidence,
        "prediction": {"file": found.prediction.file, "sha256": found.prediction.sha256,
                       "written": found.prediction.written},
        "boots": sorted({s.boot for s in found.slices}), "rows": rows,
        "races": [{n: getattr(r, n) for n in ("name", "cut", "rule", "rounds", "met", "reproduced")}
                  for r in found.races],
    }  # fmt: skip
