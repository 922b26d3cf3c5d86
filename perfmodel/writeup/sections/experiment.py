"""A kernel whose mprotect downgrades, in an emulated machine: predicted, committed, then measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perfmodel.experiment import score
from perfmodel.report.blocks import Block, Bullets, Heading, Text
from perfmodel.report.experiment import answer, factor_text, overloaded, race_table, summary_table
from perfmodel.report.numbers import share_text
from perfmodel.writeup.numbering import about, ref

if TYPE_CHECKING:
    from perfmodel.experiment import Recorded
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the outcome of the recorded experiment, its races, and what is wrong in it."""
    found = material.experiment
    shown = material.figure("kernel_experiment")
    where = about(shown, "shows point for point what came out.")
    return [
        Heading("The experiment: a kernel that downgrades", 2),
        Text(f"Everything in this section is {found.evidence}.", "strong"),
        Text(
            "Who waits for whom, and for which part of a call, is Linux'; what a nanosecond is worth is the"
            " emulator's. A kernel whose mprotect takes each cut, chosen while it runs, was booted; its costs were"
            " fitted to boots without any cut; from these alone every cut was predicted, and the prediction"
            f" committed ({found.prediction.written}, sha256 {found.prediction.sha256[:12]}) before a cut was run."
            f"{where}"
        ),
        answer(found),
        *shown,
        replace(summary_table(found, by_cut=False), label=ref("table", "experiment")),
        *_races(found),
        Text("What is wrong in it:"),
        Bullets(_wrong(found)),
    ]  # fmt: skip


def _races(found: Recorded) -> list[Block]:
    """Say what the races lost, with the rules of the release and with one taken away."""
    if not found.races:
        return []
    lost = {
        kept: sum(r.reproduced for r in found.races if bool(r.rule) != kept)
        for kept in (True, False)
    }
    met = sum(r.met for r in found.races if not r.rule)
    alone = [r for r in found.races if r.cut == "none"]
    return [
        Text(
            f"Counterexamples of the exploration were run as programs, too ({ref('table', 'races')}): with all"
            f" rules of the release {lost[True]} stores were lost in {met} rounds in which both sides met; with"
            f" the one rule taken away by which the exploration finds the cut safe, {lost[False]}."
            f" Without a cut {sum(r.reproduced for r in alone)} were lost in {sum(r.met for r in alone)} such"
            " rounds."
        ),
        replace(
            race_table([r for r in found.races if r.cut != "none"], by_cut=False),
            label=ref("table", "races"),
        ),
    ]


def _wrong(found: Recorded) -> list[str]:
    """Say where the predictions fail, with the comparison's own numbers."""
    effects = [r for r in found.rows if r.cut != "none"]
    alone = score(r for r in effects if not overloaded(r, found))
    beside = score(r for r in effects if overloaded(r, found))
    cpus = found.laboratory["host"]["cpus"]
    lines = [
        f"Effects come out better than values: {factor_text(alone.effect_error)} off in the median, the values"
        f" themselves {factor_text(alone.value_error)}. What a boot does to every cost alike drops out of a ratio"
        " within it.",
        f"Of the effects {share_text(alone.covered)} lie within the predicted 90 % interval.",
    ]  # fmt: skip
    if beside.rows:
        lines.append(
            f"With more busy vCPUs than the host's {cpus} CPUs a vCPU that is off its CPU while it holds the lock"
            " keeps everybody waiting for milliseconds, which no model here holds: the sign is right in"
            f" {beside.right} of {beside.significant}, but values are off by {factor_text(beside.value_error)},"
            f" effects by {factor_text(beside.effect_error)}, and {share_text(beside.covered)} lie within the"
            " predicted interval."
        )
    lines.append(
        "A flush is paid afterwards, by whoever refills the emulated TLB, faults included; the models charge it to"
        " the call."
    )
    return lines
