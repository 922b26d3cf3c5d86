"""Measuring on real hardware: build the C programs, run them, describe the machine, keep the runs.

>>> from perfmodel import measure                                    # doctest: +SKIP
>>> measure.run("results/this-machine.json", quick=True)             # doctest: +SKIP
PosixPath('results/this-machine.json')
"""

from __future__ import annotations

from perfmodel.measure.document import SCHEMA, load_schema
from perfmodel.measure.machine import machine_state
from perfmodel.measure.session import GROUPS, Progress, run

__all__ = ["GROUPS", "SCHEMA", "Progress", "load_schema", "machine_state", "run"]
