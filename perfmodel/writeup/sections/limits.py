"""Where the models are wrong, and what the data could not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Bullets, Heading, Text
from perfmodel.report.machine import left_out_lines
from perfmodel.report.whole import VERDICTS

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]

#: Failures of the validation, and reasons to leave data out, that are named; the command prints all.
_SHOWN = 4


def blocks(material: Material) -> list[Block]:
    """Return the limits: solver, machine, data, and what no model here holds."""
    shown = material.figure("closed_form_errors")
    where = f" ({shown[0].label})" if shown else ""
    errors: dict[str, str] = {}
    for name in VERDICTS:
        for result in material.prediction(name).results:
            if not result.reason:
                errors[result.answer.solver] = result.answer.stated_error or "not known"
    lines = [
        *(
            f"Solver used here: {solver}; its stated error: {error}."
            for solver, error in errors.items()
        ),
        *_data(material),
        *_validation(material),
        "The intervals hold the constants' uncertainty and the fit's own scatter. They hold neither the"
        " solver's error nor a case that is not the reader's.",
        "No kernel downgrades mmap_lock in mprotect: its gain is derived, and nowhere measured. What was"
        " measured is munmap, which does, and a lock in user space, which can.",
    ]
    return [
        Heading("When this is wrong", 2),
        Text(
            "Each closed form was held against an event-driven simulation of the same lock and, where there is"
            f" one, the exact Markov chain{where}. Outside the region of its stated error a prediction is"
            " answered by the chain or the simulation if the question is small enough, and says so. The page"
            " 'When this model is wrong' has a figure for each known failure."
        ),
        *shown,
        Bullets(lines),
    ]


def _data(material: Material) -> list[str]:
    """Say which constants the measurements leave open."""
    fit = material.machine.fit
    weak = [f"{name} ({why})" for name, why in (fit.get("weakly_identified") or {}).items()]
    found = [f"Weakly identified by the data: {'; '.join(weak)}."] if weak else []
    unknown = [n for n, c in material.machine.constants.items() if c.value is None]
    if unknown:
        found.append(f"Unknown, and so is what depends on it: {', '.join(unknown)}.")
    pairs = fit.get("correlated") or {}
    if pairs:
        found.append(f"Known only in combination (the covariance carries it): {', '.join(pairs)}.")
    return found


def _validation(material: Material) -> list[str]:
    """Say where the validation fell short, and what of the run was not predicted at all."""
    found = material.validation
    if found is None:
        return []
    lines = []
    if found.failures:
        first = "; ".join(found.failures[:_SHOWN])
        rest = len(found.failures) - _SHOWN
        lines.append(
            f"The validation fell short in {len(found.failures)} respects: {first}"
            + (f"; perfmodel validate prints {rest} more." if rest > 0 else ".")
        )
    out = left_out_lines(found.left_out)
    if out:
        more = f"; and {len(out) - _SHOWN} reasons more" if len(out) > _SHOWN else ""
        lines.append(f"Of the run not predicted: {'; '.join(out[:_SHOWN])}{more}.")
    return lines
