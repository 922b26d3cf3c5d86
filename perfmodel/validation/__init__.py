"""A profile against a run that it was not fitted to: medians, holds, the law of the faults, throughput.

Everything predicted comes from the profile alone; what a run's own undisturbed faults cost is taken
from the run, as the control arm of an experiment. :mod:`perfmodel.validation.blind` goes one step
further: the profile itself is fitted without any munmap, whose downgrade it then predicts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfmodel.validation.limits import KINDS, THRESHOLDS
    from perfmodel.validation.result import Row, Validation
    from perfmodel.validation.run import validate

__all__ = ["KINDS", "THRESHOLDS", "Row", "Validation", "validate"]

_HOME = {"KINDS": "limits", "THRESHOLDS": "limits", "Row": "result", "Validation": "result",
         "validate": "run"}  # fmt: skip


def __getattr__(name: str) -> Any:
    # The command line's help reads the limits, and must not wait for numpy.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
