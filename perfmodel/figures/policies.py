"""Policies side by side: how each looks, and the predictions of all presets that two figures share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from perfmodel.figures.style import BLUE, GREEN, ORANGE, PURPLE, VERMILLION, Look
from perfmodel.prediction import predict
from perfmodel.presets import PRESETS
from perfmodel.scenario import Policy, Scenario

if TYPE_CHECKING:
    from perfmodel.machine import Machine
    from perfmodel.prediction import Prediction

__all__ = ["LOOKS", "predictions"]

#: Colour, marker and label of each policy that can gain.
LOOKS: Mapping[Policy, Look] = {
    Policy.LAST_VMA: Look(BLUE, "o", "last-vma"),
    Policy.BEFORE_FLUSH: Look(VERMILLION, "s", "before-flush"),
    Policy.EVERY_VMA: Look(GREEN, "^", "every-vma"),
    Policy.READ_ONLY: Look(PURPLE, "D", "read-only"),
    Policy.PER_VMA: Look(ORANGE, "v", "per-vma"),
}


@lru_cache(maxsize=2)
def _predictions(machine: Machine, draws: int) -> Mapping[str, Prediction]:
    return {
        name: predict(Scenario.from_dict(one.parameters, machine=machine), draws=draws, levels=(),
                      guards=False)
        for name, one in PRESETS.items()
    }  # fmt: skip


def predictions(machine: Machine, draws: int = 200) -> Mapping[str, Prediction]:
    """Return the prediction of every preset, made once a machine.

    Parameters
    ----------
    machine : Machine
    draws : int
        Draws behind the intervals.
    """
    return _predictions(machine, draws)
