"""Observations to a machine profile: one joint robust fit, its diagnostics, what to measure next."""

from __future__ import annotations

from perfmodel.fit.advice import Advice, Suggestion, advise
from perfmodel.fit.calibration import Calibration, calibrate
from perfmodel.fit.diagnostics import predict_points, residual_table, summary
from perfmodel.fit.nested import Comparison
from perfmodel.fit.points import Point, Points, collect
from perfmodel.fit.posterior import Posterior
from perfmodel.fit.profiles import Interval

__all__ = [
    "Advice", "Calibration", "Comparison", "Interval", "Point", "Points", "Posterior", "Suggestion",
    "advise", "calibrate", "collect", "predict_points", "residual_table", "summary",
]  # fmt: skip
