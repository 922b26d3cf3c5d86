"""The comparison as text for a terminal and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from perfmodel.counterfactual.compare import EFFECTS, Comparison, Score, score, turns
from perfmodel.counterfactual.configuration import GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfmodel.counterfactual.document import Run

__all__ = ["as_json", "as_text", "describe"]

_WHAT = {
    "throughput": "reads a second", "wait": "mean wait of a read", "calls": "calls a second",
}  # fmt: skip
_WHO = {
    "product": "the product's solver (closed form, chain or simulation; constant calls, no spinning)",
    "kernel": "the simulation with the real laws and all of the kernel's corrections",
}


def _us(ns: float) -> str:
    return f"{ns / 1e3:.3g}"


def describe(comparison: Comparison) -> str:
    """Return a configuration in a few words."""
    c = comparison.configuration
    return (
        f"{c.readers}R+{c.writers}W D {_us(c.exclusive_ns)} S {_us(c.shared_ns)} us"
        f" {c.call_law}, pause {_us(c.write_think_ns)}; read {_us(c.read_ns)} {c.read_law},"
        f" think {_us(c.read_think_ns)}" + ("; spin" if c.spin else "")
    )


def _number(effect: str, value: float) -> str:
    return f"{value / 1e3:+.3g} us" if effect == "wait" else f"{100 * value:+.2f} %"


def _plus_minus(effect: str, value: float) -> str:
    return f"{value / 1e3:.2g}" if effect == "wait" else f"{100 * value:.2f}"


def _score_line(name: str, found: Score) -> str:
    share = f"{found.right} of {found.significant}" if found.significant else "in none"
    disturbed = f", {found.disturbed} disturbed" if found.disturbed else ""
    ratio = "" if math.isnan(found.ratio_median) else (
        f"; predicted/measured {found.ratio_median:.2f} (median), off by a factor of"
        f" {found.error_median:.2f} (median), {found.error_p90:.2f} (p90)"
    )  # fmt: skip
    return (
        f"  {name:13s} sign right {share} beyond noise (of {found.count}{disturbed};"
        f" {found.by_chance:.1f} wrong by chance alone, {found.by_guess} right by saying 'it helps')"
        f"{ratio};"
        f" within noise of the measured value {found.within}"
    )


def _row(one: Comparison, name: str) -> str:
    effect = one.effect(name)
    mark = {True: "hit ", False: "MISS", None: "noise"}[one.hit(name)]
    mark = "shaky" if one.measured.disturbed else mark
    return (
        f"  {mark:5s} {one.configuration.name:16s} measured {_number(name, effect.value)}"
        f" ± {_plus_minus(name, effect.error)}, product {_number(name, one.forecast(name))},"
        f" kernel {_number(name, one.forecast(name, 'kernel'))} [{one.predicted.solver}]"
        f"  {describe(one)}"
    )


def as_text(run: Run, comparisons: Sequence[Comparison], *, everything: bool = False) -> str:
    """Return the scores and the misses, or everything, as text."""
    lines = [
        f"{run.file}: {len(comparisons)} configurations, started {run.started}, {run.cpus} CPUs,"
        f" steal {run.steal_ticks} ticks",
    ]
    for name in EFFECTS:
        for by, who in _WHO.items():
            lines += ["", f"Effect of the downgrade on the {_WHAT[name]}, by {who}:"]
            groups = [(g, [c for c in comparisons if c.configuration.group == g]) for g in GROUPS]
            lines += [
                _score_line(g, score(some, name, by))  # type: ignore[arg-type]
                for g, some in [*groups, ("all", list(comparisons))] if some
            ]  # fmt: skip
        shown = comparisons if everything else [c for c in comparisons if c.hit(name) is False]
        lines += ["", f"{'All' if everything else 'Misses of the sign'}, {_WHAT[name]}:"]
        lines += [_row(c, name) for c in shown] or ["  none"]
    count, usual, short = turns(comparisons)
    if count:
        lines += [
            "", f"Threads that share CPUs, {count} configurations measured both ways: the mean wait is"
            f" {usual:.1f} times the predicted one in the scheduler's slices, and {short:.1f} times in"
            " turns of 100 us (median).",
            "The models let all threads run at once, slowed down alike; who is put off its CPU while"
            " it holds the lock makes everybody wait for milliseconds.",
        ]  # fmt: skip
    return "\n".join(lines)


def as_json(run: Run, comparisons: Sequence[Comparison]) -> str:
    """Return everything as one JSON object; unknown numbers are null."""
    document: dict[str, Any] = {
        "schema": "perfmodel.downgrade-comparison/1",
        "run": {"file": run.file, "sha256": run.sha256, "started": run.started},
        "scores": {
            name: {by: asdict(score(comparisons, name, by)) for by in _WHO}  # type: ignore[arg-type]
            for name in EFFECTS
        },
        "turns": dict(zip(("configurations", "usual", "short"), turns(comparisons), strict=True)),
        "configurations": [
            asdict(c) | {"hit": {name: c.hit(name) for name in EFFECTS}} for c in comparisons
        ],
    }

    def known(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: known(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [known(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(known(document), indent=1)
