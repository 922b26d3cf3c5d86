"""Answers that the closed forms do not have: those of the presets, made with the page.

Where a preset lies outside the region of the closed form's stated error, the chain or the simulation
answers here, once, for the preset as it stands; as soon as a slider moves the page is without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np

from perfmodel.machine import Machine
from perfmodel.prediction import Prediction, predict
from perfmodel.presets import PRESETS
from perfmodel.report.blocks import Block, Bullets, Mark, Table, plain
from perfmodel.report.numbers import gain_text, probability_text
from perfmodel.report.prediction import prediction_blocks
from perfmodel.scenario import Scenario

__all__ = ["answer_of", "prepared"]


def _beyond(prediction: Prediction) -> list[str]:
    """Return the conditions of the stated error that do not hold."""
    return [why for r in prediction.results if not r.reason for why in r.answer.broken]


def _block(block: Block) -> dict[str, Any]:
    """Return a block as the page's own are (``blockOf`` of ``asking.js``)."""
    kind = type(block).__name__
    if isinstance(block, Table):
        rows = [
            [{"text": plain(c), "tone": c.tone if isinstance(c, Mark) else "plain"} for c in row]
            for row in block.rows
        ]
        columns = [{"name": c.name, "right": c.right} for c in block.columns]
        return {"kind": kind, "caption": block.caption, "columns": columns, "rows": rows}
    if isinstance(block, Bullets):
        return {"kind": kind, "items": list(block.items)}
    return {"kind": kind, "tone": "plain", "level": 0} | asdict(block)


def answer_of(preset: str, prediction: Prediction) -> dict[str, Any]:
    """Return what the page needs of a prediction that is not its own: blocks, gains, and all of it as JSON.

    Parameters
    ----------
    preset : str
        Which case it is.
    prediction : Prediction
        With its draws.
    """
    gains = {}
    for result in prediction.results:
        interval = [float(v) for v in result.interval()]
        known = bool(np.isfinite(interval).all()) and not result.reason
        gains[result.policy.value] = {
            "gain": {"estimate": interval[0] if known else None, "text": gain_text(*interval)},
            "sure": probability_text(result.p_pays, result.net_gain.size),
        }
    return {
        "preset": preset,
        "solver": prediction.results[0].answer.solver,
        "blocks": [_block(b) for b in prediction_blocks(prediction)],
        "results": gains,
        "prediction": prediction.to_dict(),
    }


@cache
def _of_machine(machine: Machine, draws: int) -> tuple[dict[str, Any], ...]:
    found = []
    for preset in PRESETS.values():
        scenario = Scenario.from_dict(preset.parameters, machine=machine)
        closed = predict(scenario, draws=1, solver="closed", levels=(), guards=False)
        if _beyond(closed):
            asked = predict(scenario, draws=draws)
            # Without the simulate extra nobody answers: then the page says so.
            if not _beyond(asked):
                found.append(answer_of(preset.name, asked))
    return tuple(found)


def prepared(machines: Sequence[Machine], draws: int) -> list[dict[str, Any]]:
    """Return the answers of presets that the closed forms leave to other solvers, JSON-ready.

    Parameters
    ----------
    machines : sequence of Machine
        Each is asked by itself.
    draws : int
        Draws of each machine's constants, the estimate included.
    """
    return [answer for machine in machines for answer in _of_machine(machine, draws)]
