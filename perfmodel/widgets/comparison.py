"""The present scenario beside those pinned: where they differ, and what is answered for each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.quantities import SCENARIO
from perfmodel.report.labels import label
from perfmodel.scenario import Policy, Scenario
from perfmodel.verdict import time_text
from perfmodel.widgets.parameters import PATHS, given

if TYPE_CHECKING:
    from perfmodel.prediction import Prediction

__all__ = ["Row", "answers", "differences"]


@dataclass(frozen=True)
class Row:
    """One line of the comparison: what, its value now, and that of each pin."""

    what: str
    now: str
    pinned: tuple[str, ...]


def differences(now: Scenario, pinned: tuple[Scenario, ...]) -> tuple[Row, ...]:
    """Return every parameter in which a pinned scenario differs from the present one."""
    all_of = (now, *pinned)
    named: dict[str, list[str]] = {
        "machine": [s.machine.name for s in all_of],
        "kernel": [s.kernel.release for s in all_of],
        "operation": [s.call.operation for s in all_of],
        "transition": [s.call.transition for s in all_of],
        "2 MiB entries": ["yes" if s.call.huge else "no" for s in all_of],
        "policies": [", ".join(p.value for p in s.policies) for s in all_of],
    }
    named |= {label(SCENARIO[name]): [_number(given(s, name)) for s in all_of] for name in PATHS}
    return tuple(
        Row(what, values[0], tuple(values[1:]))
        for what, values in named.items() if len(set(values)) > 1
    )  # fmt: skip


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.6g}"


def answers(predictions: tuple[Prediction, ...], policy: Policy) -> tuple[Row, ...]:
    """Return what is predicted for the present scenario, the first, and for each pinned one.

    Parameters
    ----------
    predictions : tuple of Prediction
    policy : Policy
        The cut whose gain is compared.
    """
    columns = [_answer(p, policy) for p in predictions]
    return tuple(Row(what, columns[0][what], tuple(c[what] for c in columns[1:]))
                 for what in columns[0])  # fmt: skip


def _answer(prediction: Prediction, policy: Policy) -> Mapping[str, str]:
    none = prediction[Policy.NONE]
    try:
        result = prediction[policy]
    except KeyError:
        gain = chance = safe = "not compared"
    else:
        estimate, low, high = result.interval()
        known = math.isfinite(estimate)
        safe = "safe" if result.safety.safe else "unsafe"
        gain = (
            f"{time_text(estimate)} ({time_text(low)} to {time_text(high)})" if known else "unknown"
        )
        chance = f"{result.p_pays:.2f}" if known else "unknown"

    def first(array: Any) -> str:
        return time_text(float(array[0]))

    return {
        "verdict": prediction.verdict.answer,
        f"{policy.value}: stale TLB": safe,
        f"{policy.value}: net gain a call": gain,
        f"{policy.value}: P(pays)": chance,
        "best safe policy": prediction.verdict.best_safe_policy,
        "exclusive hold, no downgrade": first(none.hold.exclusive),
        "fault wait, mean": first(none.answer.wait_mean),
        "fault wait, p99": first(none.answer.wait_quantiles[0.99]),
    }
