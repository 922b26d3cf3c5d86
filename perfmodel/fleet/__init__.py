"""Fleets: one question asked of many machines' profiles, and many machines' runs made into profiles."""

from __future__ import annotations

from perfmodel.fleet.api import compare
from perfmodel.fleet.calibrating import FleetCalibration, calibrate_fleet
from perfmodel.fleet.comparison import Comparison

__all__ = ["Comparison", "FleetCalibration", "calibrate_fleet", "compare"]
