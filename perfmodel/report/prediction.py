"""A prediction in blocks: safety and verdict first, then what a kernel engineer would quote."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perfmodel.hold import ACTUAL_POLICY
from perfmodel.quantities import ACCOUNT
from perfmodel.report.blocks import Block, Bullets, Cell, Column, Heading, Mark, Table, Text
from perfmodel.report.numbers import (
    gain_text,
    probability_text,
    share_text,
    time_text,
    time_with_spread,
)
from perfmodel.scenario import Policy
from perfmodel.stale_tlb import SCOPE

if TYPE_CHECKING:
    from perfmodel.machine import Machine
    from perfmodel.prediction import Prediction
    from perfmodel.results import PolicyResult
    from perfmodel.scenario import Scenario
    from perfmodel.verdict import Verdict

__all__ = [
    "guarded_blocks", "machine_line", "prediction_blocks", "scenario_lines", "scenario_title",
    "verdict_text",
]  # fmt: skip

_EVIDENCE = {
    "measured": "calibrated on measurements of that machine",
    "published": "put together from published figures",
    "emulated": "emulated, not measured on hardware",
}


def scenario_title(scenario: Scenario) -> str:
    """Return the call and the kernel in a few words."""
    call = scenario.call
    words = f"{call.operation}, {call.pages} page{'' if call.pages == 1 else 's'}"
    if call.vmas > 1:
        words += f" in {call.vmas} VMAs"
    if call.operation == "mprotect":
        words += f", {call.transition}"
    return f"{words}, kernel {scenario.kernel.release}"


def scenario_lines(scenario: Scenario) -> list[str]:
    """Return everything else the question holds, one line a part."""
    call, faults, writers = scenario.call, scenario.faults, scenario.writers
    shape = [f"{share_text(float(call.populated or 0))} populated"]
    shape += [f"{n} {what}{'' if n == 1 else 's'}"
              for n, what in ((call.splits, "split"), (call.merges, "merge")) if n]  # fmt: skip
    if call.huge:
        shape.append("mapped by 2 MiB entries")
    shape.append(f"{scenario.remote_cpus:.3g} remote CPUs to flush")
    if faults.rate is not None:
        who = f"{faults.rate:g} faults/s"
    else:
        who = f"{faults.threads} threads, {time_text(faults.think_ns)} between faults"
    who += f"; {share_text(faults.same_vma)} hit a VMA of the call"
    if faults.first_touch:
        who += f"; {share_text(faults.first_touch)} of the others are first touches"
    if faults.io_share:
        who += f"; {share_text(faults.io_share)} wait {time_text(faults.io_ns)} for I/O"
    if writers.rate is not None:
        calls = f"{writers.rate:g} calls/s"
    else:
        plural = "" if writers.threads == 1 else "s"
        calls = f"{writers.threads} thread{plural}, {time_text(writers.think_ns)} between calls"
    return [
        f"Call: {', '.join(shape)}.",
        f"Faults: {who}.",
        f"Callers: {calls}; {scenario.cpus} CPUs.",
        f"What the kernel does today: {ACTUAL_POLICY[call.operation].value}.",
    ]


def machine_line(machine: Machine) -> str:
    """Return the machine, and what its numbers rest on."""
    return (
        f"machine {machine.name} ({machine.evidence}: {_EVIDENCE[machine.evidence]};"
        f" sha256 {machine.sha256[:12]})"
    )


def verdict_text(verdict: Verdict) -> Text:
    """Return the headline: whether it may be used, then whether it would pay."""
    if verdict.answer == "unsafe":
        return Text(
            f"UNSAFE as it stands: {verdict.policy} (were it safe: {verdict.if_safe})", "bad"
        )
    if verdict.answer == "unknown":
        return Text("UNKNOWN: this cannot be predicted", "bad")
    return Text(
        f"NOBODY MODELLED BREAKS IT, {verdict.answer.upper()}: {verdict.policy}",
        "good" if verdict.answer == "pays" else "strong",
    )


def prediction_blocks(prediction: Prediction, *, brief: bool = False) -> list[Block]:
    """Return a prediction: verdict, policies, account of the thread time, reservations.

    Parameters
    ----------
    prediction : Prediction
    brief : bool
        Whether to end after the policies: what one would quote.
    """
    verdict = prediction.verdict
    blocks: list[Block] = [
        Heading(scenario_title(prediction.scenario), 3),
        Bullets(scenario_lines(prediction.scenario)),
        verdict_text(verdict),
        Text(verdict.sentence),
        _policies(prediction),
    ]
    if brief:
        return blocks
    return [
        *blocks,
        Bullets(_safety_lines(prediction)),
        *guarded_blocks(prediction),
        _account(prediction),
        Heading("Reservations", 4),
        Bullets([*prediction.warnings, *_basis(prediction)]),
    ]


def _policies(prediction: Prediction) -> Table:
    columns = [
        Column("policy"), Column("safe"), Column("excl.", True), Column("shared", True),
        Column("wait", True), Column("p99", True), Column("blocked", True),
        Column("net gain [90 %]", True), Column("P(pays)", True),
    ]  # fmt: skip
    meaning = (
        "excl., shared: exclusive and shared hold of one call; wait, p99: mean and 99 % quantile over all faults,"
        " blocked or not; blocked: share of them; net gain: thread time a call saves against none, in"
        " brackets where the policy is unsafe and nobody may have it"
    )
    if not prediction.scenario.faults.open:
        columns.append(Column("faults/s", True))
        meaning += "; faults/s: change of their number against none"
    return Table(columns, [_row(r)[: len(columns)] for r in prediction.results], meaning)


def _row(result: PolicyResult) -> list[Cell]:
    name = result.policy.value
    if result.reason:
        return [name, *[Mark("n/a", "dim")] * 9]
    held, answer = result.hold, result.answer
    safe = Mark("yes", "good") if result.safety.safe else Mark("NO", "bad")
    p99 = answer.wait_quantiles.get(0.99)
    gain = _gain(result)
    return [
        name, safe, time_with_spread(held.exclusive),
        time_with_spread(held.shared),
        time_with_spread(answer.wait_mean),
        "n/a" if p99 is None else time_text(float(p99.reshape(-1)[0]), 2),
        share_text(float(answer.blocked_share.reshape(-1)[0])), gain,
        "" if result.policy is Policy.NONE
        else probability_text(result.p_pays, result.net_gain.size),
        "" if result.policy is Policy.NONE else _change(float(result.throughput_gain[0])),
    ]  # fmt: skip


def _gain(result: PolicyResult) -> Cell:
    """Write the net gain; in brackets where nobody may have it."""
    if result.policy is Policy.NONE:
        return Mark("reference", "dim")
    text = gain_text(*result.interval())
    return text if result.safety.safe else f"({text})"


def guarded_blocks(prediction: Prediction) -> list[Block]:
    """Return the cuts with the guards that would make them safe, against doing nothing."""
    if not prediction.guarded:
        return []
    columns = [
        Column("cut"), Column("guard"), Column("safe"), Column("excl.", True),
        Column("shared", True), Column("guard costs", True), Column("net gain [90 %]", True),
        Column("P(pays)", True), Column("pays to wp", True),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [r.policy.value, r.guard, Mark("yes", "good") if r.safety.safe else Mark("NO", "bad"),
         time_with_spread(r.hold.exclusive), time_with_spread(r.hold.shared),
         time_with_spread(r.account["guard_time"]), _gain(r),
         probability_text(r.p_pays, r.net_gain.size), _limit(r.wp_share_limit)]
        for r in prediction.guarded
    ]  # fmt: skip
    share = share_text(prediction.scenario.faults.wp_share)
    return [
        Table(columns, rows,
              "The downgrade and a guard that no kernel has, against doing nothing. Guard costs: thread time a"
              " call beyond the hold; pays to wp: share of write-protect faults (here"
              f" {share}) up to which the gain is positive"),
    ]  # fmt: skip


def _limit(share: float) -> str:
    if math.isnan(share):
        return ""
    if share in (0.0, 1.0):
        return "never" if share == 0.0 else "always"
    return share_text(share)


def _change(relative: float) -> str:
    """Write a relative change in per cent, with a sign; changes that nobody could see as none."""
    if abs(relative) < 5e-5:
        return "+-0"
    return f"{100 * relative:+.2g} %" if abs(relative) < 0.1 else f"{100 * relative:+.0f} %"


def _safety_lines(prediction: Prediction) -> list[str]:
    """Say once for all policies that share a reason why they are safe or not."""
    groups: dict[tuple[bool, str, str], list[str]] = {}
    for result in prediction.results:
        if result.policy is not Policy.NONE and not result.reason:
            s = result.safety
            groups.setdefault((s.safe, s.reason, s.basis), []).append(result.policy.value)
    lines = [
        f"{', '.join(names)}: {'safe' if safe else 'UNSAFE'}: {reason} ({basis})."
        for (safe, reason, basis), names in sorted(groups.items(), key=lambda item: item[0][0])
    ]
    return [*lines, f"Safe means that nobody in the model breaks it: {SCOPE}."]


def _account(prediction: Prediction) -> Table:
    terms = {
        "blocked_time": "blocked", "wake_time": "wake-up", "waker_time": "waker",
        "line_time": "lock line", "caller_time": "caller",
    }  # fmt: skip
    rows: list[list[Cell]] = [
        [r.policy.value, str(r.hold.lock_ops), *(time_with_spread(r.account[t]) for t in terms),
         time_with_spread(r.lost_time)]
        for r in prediction.results if not r.reason
    ]  # fmt: skip
    meaning = "; ".join(f"{short}: {ACCOUNT[t].meaning}" for t, short in terms.items())
    return Table(
        [Column("policy"), Column("locked ops", True),
         *(Column(short, True) for short in terms.values()), Column("all", True)],
        rows,
        "Locked operations on the lock's line, and where the thread time lost to one call goes."
        f" {meaning[0].upper()}{meaning[1:]}",
    )  # fmt: skip


def _basis(prediction: Prediction) -> list[str]:
    reference = prediction[Policy.NONE]
    draws = reference.net_gain.size
    verdict = prediction.verdict
    solvers: dict[tuple[str, str], list[str]] = {}
    for result in prediction.results:
        if not result.reason:
            key = (result.answer.solver, result.answer.stated_error)
            solvers.setdefault(key, []).append(result.policy.value)
    lines = [
        f"Queue solver for {', '.join(names)}: {solver}; its stated error: {error or 'not known'}."
        for (solver, error), names in solvers.items()
    ]
    constants = f"Costs: {machine_line(prediction.scenario.machine)}."
    if draws > 1:
        constants += (
            f" Intervals and P(pays) are over {draws} draws of its constants; they hold neither the"
            " solver's own error nor a scenario that is not yours."
        )
    else:
        constants += " One draw: there are no intervals and no probabilities."
    lines.append(constants)
    if math.isfinite(verdict.calls_to_detect):
        calls = _count(verdict.calls_to_detect)
        seen = (
            f"To see it: {calls} call(s) in each arm, with the blocked time of every call recorded"
        )
        if math.isfinite(verdict.runs_to_detect):
            runs = _count(verdict.runs_to_detect)
            seen += f", or {runs} whole-program run(s) in each arm that vary by 1 %"
        lines.append(seen + ".")
    return lines


def _count(number: float) -> str:
    """Write how many of something it takes: at least one, two digits."""
    return f"{float(f'{max(1.0, math.ceil(number)):.2g}'):.0f}"
