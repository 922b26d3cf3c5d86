"""The recorded run that a shipped profile is held against: what the figures draw unless told otherwise."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from perfmodel.errors import InputError
from perfmodel.readers.bench_json import companion_trace
from perfmodel.resources import calibration_path

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.machine import Machine

__all__ = ["held_out_run"]


def held_out_run(machine: Machine) -> list[Path]:
    """Return the last run recorded on a shipped machine that its profile was not fitted to.

    Parameters
    ----------
    machine : Machine
        A shipped profile; what it was fitted to is told by the hashes that it keeps.

    Returns
    -------
    list of Path
        The run and, if it has one, its trace; empty where none is shipped, or the profile was fitted
        to all of them.
    """
    try:
        folder = calibration_path("data", machine.name)
    except InputError:
        return []
    fitted = {i.sha256 for i in machine.inputs}
    runs = sorted(folder.glob("run-*.json"))
    known = {run: hashlib.sha256(run.read_bytes()).hexdigest() for run in runs}
    # A profile of one's own that happens to have the name of a shipped one is not of that machine.
    if not fitted & set(known.values()):
        return []
    free = [run for run in runs if known[run] not in fitted]
    return [p for p in (free[-1], companion_trace(free[-1])) if p] if free else []
