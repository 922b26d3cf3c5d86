"""A profile against a run that it was not fitted to: medians, holds, the law of the faults, throughput.

Everything predicted comes from the profile alone; what a run's own undisturbed faults cost is taken
from the run, as the control arm of an experiment. :mod:`perfmodel.validation.blind` goes one step
further: the profile itself is fitted without any munmap, whose downgrade it then predicts.
"""

from __future__ import annotations

from perfmodel.validation.result import KINDS, THRESHOLDS, Row, Validation
from perfmodel.validation.run import validate

__all__ = ["KINDS", "THRESHOLDS", "Row", "Validation", "validate"]
