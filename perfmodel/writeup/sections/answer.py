"""The answer in few sentences, from the verdicts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perfmodel.claims import ERAS
from perfmodel.report.blocks import Block, Bullets, Heading, Text
from perfmodel.report.numbers import gain_text, share_text, time_with_spread
from perfmodel.report.prediction import machine_line
from perfmodel.report.whole import VERDICTS
from perfmodel.scenario import Policy
from perfmodel.stale_tlb import safety
from perfmodel.verdict import CUTS

if TYPE_CHECKING:
    from perfmodel.prediction import Prediction
    from perfmodel.results import PolicyResult
    from perfmodel.writeup.material import Material

__all__ = ["blocks", "broken_on", "judged"]

_WOULD = {
    "pays": "pay", "costs": "cost", "lost in the noise": "be lost in the noise",
    "unknown": "do what cannot be predicted here",
}  # fmt: skip


def judged(prediction: Prediction) -> PolicyResult:
    """Return the result of the policy that the verdict is about."""
    return prediction[Policy(prediction.verdict.policy)]


def broken_on(kernel: str, transition: str = "RW->R") -> list[str]:
    """Return the cuts of mprotect that somebody breaks on a release."""
    from perfmodel.kernel import Kernel
    from perfmodel.scenario import Call

    call = Call("mprotect", transition=transition, populated=1.0)
    return [cut.value for cut in CUTS if not safety(Kernel(kernel), call, cut).safe]


def blocks(material: Material) -> list[Block]:
    """Return the summary."""
    told = [_case(material.prediction(name)) for name in VERDICTS]
    return [
        Heading("Summary", 2),
        Text(
            "In December 2020 it was asked on the kernel list why mprotect() does not downgrade mmap_lock"
            " from write to read part-way, so that blocked page faults go on sooner; the answer was that"
            " it would hardly ever gain anything, and that it is unsafe. This note puts numbers to both"
            " halves of that answer."
        ),
        Bullets([*told, _safety(), *_guard(material), *_other(material), *_trust(material)]),
        Text(
            f"All costs are those of {machine_line(material.machine)}; intervals are 90 %.", "dim"
        ),
    ]


def _case(prediction: Prediction) -> str:
    verdict, best = prediction.verdict, judged(prediction)
    call = prediction.scenario.call
    pages = f"{call.pages} page{'' if call.pages == 1 else 's'}"
    none = prediction[Policy.NONE]
    text = (
        f"An mprotect of {pages} on {prediction.scenario.kernel.release} holds the lock exclusively for"
        f" {time_with_spread(none.hold.exclusive)}; with the cut {best.policy.value} that would be"
        f" {time_with_spread(best.hold.exclusive)}, and {time_with_spread(best.hold.shared)} shared. "
        + ("Were it safe, it" if verdict.answer == "unsafe" else "It")
        + f" would {_WOULD[verdict.if_safe]}: {gain_text(*best.interval())} of thread time a call"
    )
    if math.isfinite(verdict.share_of_thread_time):
        text += f", {share_text(verdict.share_of_thread_time)} of the process's"
    return text + "."


def _safety() -> str:
    broken = {release: broken_on(release) for release in ERAS}
    unsafe = [f"{r} ({', '.join(cuts)})" for r, cuts in broken.items() if cuts]
    free = [r for r, cuts in broken.items() if not cuts]
    parts = []
    if unsafe:
        parts.append(f"with RW->R somebody breaks it on {'; '.join(unsafe)}")
    if free:
        parts.append(f"on {' and '.join(free)} nobody in the model does")
    return f"Whether it is safe depends on the release: {', '.join(parts)}."


def _guard(material: Material) -> list[str]:
    """Say what the best guarded cut would do, of the cases whose best cut is unsafe."""
    told = []
    for name in VERDICTS:
        prediction = material.prediction(name)
        if prediction.verdict.guarded:
            best = max(
                (r for r in prediction.guarded if r.safety.safe and math.isfinite(r.net_gain[0])),
                key=lambda r: r.net_gain[0],
            )
            pages = prediction.scenario.call.pages
            told.append(
                f"{pages} page{'' if pages == 1 else 's'}: {best.name}, {gain_text(*best.interval())} a call"
                f" ({prediction.verdict.if_guarded})"
            )
    if not told:
        return []
    return ["A guard that no kernel has would make a cut safe where it is not, and has its price. The best of"
            f" those tried: {'; '.join(told)}."]  # fmt: skip


def _other(material: Material) -> list[str]:
    """Say what the cuts' gain is beside not taking the write lock at all."""
    prediction = material.prediction("large")
    read_only, best = prediction[Policy.READ_ONLY], judged(prediction)
    if read_only.reason or not math.isfinite(read_only.net_gain[0]):
        return []
    (gain, low, high), (other, least, most) = read_only.interval(), best.interval()
    if low <= most and least <= high:
        beside = "no more than the intervals hold"
    else:
        beside = f"the {'first' if gain > other else 'second'} is the larger"
    return [
        f"Not to take the write lock at all, as userfaultfd write-protect, would save"
        f" {gain_text(gain, low, high)} where the best cut saves {gain_text(other, least, most)}"
        f" ({prediction.scenario.call.pages} pages): {beside}."
    ]


def _trust(material: Material) -> list[str]:
    found = material.validation
    if found is None:
        return ["Nothing here was held against a separate run: none was given."]
    return [
        f"Held against a run that nothing was fitted to, {share_text(found.coverage)} of {len(found.rows)}"
        f" measured numbers lie within their 90 % interval (threshold"
        f" {share_text(found.coverage_threshold)}): the validation"
        f" {'passed' if found.passed else 'falls short'}."
    ]
