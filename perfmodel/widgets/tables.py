"""A prediction as HTML: the verdict, the table of policies, the table of phases. Words only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from perfmodel.prediction import Prediction
from perfmodel.results import LEVEL, PolicyResult
from perfmodel.scenario import Policy
from perfmodel.verdict import time_text

if TYPE_CHECKING:
    from perfmodel.rwlock.lock import Answer
    from perfmodel.widgets.comparison import Row

__all__ = [
    "comparison_table",
    "guard_table",
    "phase_table",
    "policy_table",
    "verdict_html",
    "warnings_html",
]

#: Colour of an answer's badge, dark enough for white text; the word itself says the same.
_BADGE = {
    "unsafe": "#a33e00", "pays": "#00654a", "costs": "#8a3b00", "lost in the noise": "#4d4d4d",
}  # fmt: skip

_CELL = "padding:2px 5px;text-align:right;white-space:nowrap"
_HEAD = "padding:2px 5px;text-align:right;white-space:nowrap;vertical-align:bottom;font-weight:600;line-height:1.2"
_FIRST = _CELL.replace("right", "left")


def verdict_html(prediction: Prediction, *, pending: bool = False) -> str:
    """Return the verdict, safety first.

    Parameters
    ----------
    prediction : Prediction
        What to tell.
    pending : bool
        Whether the prediction holds the central estimate alone, with the interval to come: the
        verdict itself rests on the interval and is not given then.
    """
    verdict = prediction.verdict
    if not pending:
        colour = _BADGE.get(verdict.answer, "#4d4d4d")
        badge = verdict.answer.upper()
        text = escape(verdict.sentence)
    else:
        colour, badge = "#4d4d4d", "COMPUTING"
        try:
            result = prediction[verdict.policy]
        except KeyError:
            text = "central estimate: nothing to compare"
        else:
            safe = "safe" if result.safety.safe else "unsafe"
            text = (
                f"central estimate: {escape(verdict.policy)} ({safe}) saves"
                f" {time_text(float(result.net_gain[0]))} of thread time a call."
                " The interval and the verdict follow."
            )
    return (
        f'<div class="perfmodel-verdict" data-answer="{escape(verdict.answer)}"'
        f' data-pending="{int(pending)}" style="line-height:1.35">'
        f'<strong style="background:{colour};color:#fff;padding:1px 8px;border-radius:3px;'
        f'margin-right:8px">{escape(badge)}</strong><span>{text}</span></div>'
    )


def warnings_html(warnings: Sequence[str]) -> str:
    """Return what limits the answer as a list; empty where nothing does."""
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(w)}</li>" for w in warnings)
    return (
        '<div class="perfmodel-warnings" style="font-size:0.92em;line-height:1.3">'
        f'<strong>Where this answer is weak</strong><ul style="margin:2px 0">{items}</ul></div>'
    )


def _table(head: Iterable[str], rows: Iterable[Sequence[str]], caption: str, name: str) -> str:
    top = "".join(
        f'<th scope="col" style="{_HEAD if i else _FIRST}">{text}</th>'
        for i, text in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + f'<th scope="row" style="{_FIRST};font-weight:600">{row[0]}</th>'
        + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<table class="perfmodel-{name}" style="border-collapse:collapse;font-size:0.92em;'
        'font-variant-numeric:tabular-nums;line-height:1.25">'
        f'<caption style="text-align:left;caption-side:top;padding:2px 5px">{escape(caption)}'
        f"</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def policy_table(prediction: Prediction, *, pending: bool = False) -> str:
    """Return the table of policies: net gain with interval, probability, waits, holds.

    Parameters
    ----------
    prediction : Prediction
        One row a policy.
    pending : bool
        Whether the prediction holds the central estimate alone.
    """
    rows = []
    for result in prediction.results:
        answer = result.answer
        name = escape(result.policy.value)
        if result.reason:
            rows.append((name, "does not apply", *[""] * 7))
            continue
        estimate, low, high = result.interval()
        reference = result.policy is Policy.NONE
        between = "…" if pending else f"{time_text(low)} to {time_text(high)}"
        pays = "…" if pending else f"{result.p_pays:.2f}"
        rows.append((
            name,
            "safe" if result.safety.safe else "<strong>unsafe</strong>",
            "reference" if reference else _gain(result, estimate),
            "" if reference or not math.isfinite(estimate) else between,
            "" if reference or not math.isfinite(estimate) else pays,
            time_text(float(answer.wait_mean[0])),
            _quantile(answer),
            time_text(float(result.hold.exclusive[0])),
            time_text(float(result.hold.shared[0])),
        ))  # fmt: skip
    head = ("policy", "stale TLB", "net gain<br>a call", f"{100 * LEVEL:g} %<br>interval",
            "P(pays)", "fault wait<br>mean", "fault wait<br>p99", "hold<br>exclusive",
            "hold<br>shared")  # fmt: skip
    caption = "Policies: thread time a call, and who waits. In brackets: hypothetical, the policy is unsafe"
    return _table(head, rows, caption, "policies")


def _quantile(answer: Answer) -> str:
    """Return the 99 % quantile of the wait; while a drag goes on it is left out."""
    known = answer.wait_quantiles.get(0.99)
    return "…" if known is None else time_text(float(known[0]))


def _gain(result: PolicyResult, estimate: float) -> str:
    text = time_text(estimate)
    return text if result.safety.safe else f"({text})"


def guard_table(prediction: Prediction) -> str:
    """Return the cuts with the guards that would make them safe; empty where there are none.

    Parameters
    ----------
    prediction : Prediction
    """
    if not prediction.guarded:
        return ""
    rows = []
    for result in prediction.guarded:
        estimate, low, high = result.interval()
        known = math.isfinite(estimate)
        rows.append((
            escape(f"{result.policy.value} + {result.guard}"),
            "safe" if result.safety.safe else "<strong>unsafe</strong>",
            time_text(float(result.account["guard_time"][0])),
            _gain(result, estimate),
            f"{time_text(low)} to {time_text(high)}" if known else "",
            f"{result.p_pays:.2f}" if known else "",
        ))  # fmt: skip
    head = ("cut + guard", "stale TLB", "guard costs<br>a call", "net gain<br>a call",
            f"{100 * LEVEL:g} %<br>interval", "P(pays)")  # fmt: skip
    caption = "The downgrade and a guard that no kernel has, against doing nothing"
    return _table(head, rows, caption, "guards")


def comparison_table(pins: Sequence[str], rows: Sequence[Row]) -> str:
    """Return the present scenario beside those pinned.

    Parameters
    ----------
    pins : sequence of str
        Their names.
    rows : sequence of Row
        What differs, and what is answered.
    """
    cells = [tuple(map(escape, (r.what, r.now, *r.pinned))) for r in rows]
    return _table(("what", "now", *map(escape, pins)), cells,
                  "Beside what is pinned: where it differs, and the answers", "comparison")  # fmt: skip


def phase_table(*cases: tuple[str, Prediction], policy: Policy = Policy.NONE) -> str:
    """Return the phases of a call, one column a case.

    Parameters
    ----------
    *cases : tuple of (str, Prediction)
        Title and prediction of each column.
    policy : Policy
        Whose hold to take apart.
    """
    pieces: dict[tuple[str, str], list[str]] = {}
    for column, (_, prediction) in enumerate(cases):
        for phase in prediction[policy].hold.phases:
            row = pieces.setdefault((phase.name, phase.mode), ["0 ns"] * len(cases))
            row[column] = time_text(float(phase.ns[0]))
    rows = [(escape(name.replace("_", " ")), mode, *texts)
            for (name, mode), texts in pieces.items()]  # fmt: skip
    for mode in ("exclusive", "shared"):
        totals = (time_text(float(getattr(p[policy].hold, mode)[0])) for _, p in cases)
        rows.append((f"all {mode}", mode, *totals))
    head = ("phase", "lock", *(escape(title) for title, _ in cases))
    return _table(head, rows, f"One call under policy {policy.value}", "phases")
