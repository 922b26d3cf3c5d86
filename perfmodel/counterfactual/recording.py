"""Record a run: the constants that a prediction needs, then the grid, in a shuffled order."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from perfmodel.counterfactual.configuration import Configuration, grid
from perfmodel.counterfactual.effects import FEWEST_PAIRS, quiet_pairs
from perfmodel.counterfactual.slices import Record
from perfmodel.errors import InputError
from perfmodel.measure.build import build
from perfmodel.measure.machine import load_average, machine_state, scheduler_counters
from perfmodel.measure.programs import Output, run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perfmodel.measure.build import Toolset

__all__ = ["SCHEMA", "record"]

SCHEMA = "perfmodel.downgrade/1"

#: A machine counts as idle if its CPUs were busy for less than this over half a second.
_IDLE = 0.05

#: How often a configuration is measured again if others took the CPUs meanwhile.
_TRIES = 3

#: Length of one configuration, both arms together, ms.
MILLISECONDS = 2600.0

#: How long to wait in all for others to leave the CPUs, seconds.
PATIENCE = 120.0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _autogroup() -> str | None:
    """Return the scheduler's group of this session, which decides its share beside others."""
    try:
        return Path("/proc/self/autogroup").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _measure(tools: Toolset, program: str, arguments: Sequence[str]) -> list[dict[str, Any]]:
    output = Output()
    run_program(tools.program(program), arguments, output)
    return output.records


def _try(path: Path) -> None:
    """Make sure now, and not after minutes, that the place can be written; leave nothing there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"the run cannot be written: {error.strerror or error}", file=path, field="output",
        expected="a file in a folder that can be written",
    )  # fmt: skip


class _Patience:
    """Waits for an idle machine, for so many seconds in all.

    Parameters
    ----------
    seconds : float
    """

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @staticmethod
    def _ticks() -> tuple[int, int]:
        """Return the ticks of all CPUs since the start, and the idle ones of them."""
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        ticks = [int(word) for word in words]
        return sum(ticks), ticks[3] + ticks[4]

    def wait(self) -> None:
        """Return when the machine is idle, or when no patience is left."""
        while self.left > 0:
            before = self._ticks()
            time.sleep(0.5)
            self.left -= 0.5
            now = self._ticks()
            if now[0] - before[0] - (now[1] - before[1]) <= _IDLE * (now[0] - before[0]):
                return


def _measure_quietly(
    tools: Toolset, one: Configuration, milliseconds: float, patience: _Patience
) -> dict[str, Any]:
    """Measure one configuration; again if it was disturbed and there is patience left.

    What counts as disturbed is what others did to the CPUs, never what was measured.
    """
    best: tuple[int, dict[str, Any]] | None = None
    for tries in range(1, _TRIES + 1):
        patience.wait()
        (found,) = _measure(tools, "downgrade", one.arguments(milliseconds=milliseconds))
        found["configuration"], found["tries"] = asdict(one), tries
        quiet = int(quiet_pairs(msgspec.convert(found, Record)).sum())
        if best is None or quiet > best[0]:
            best = quiet, found
        best[1]["tries"] = tries
        if quiet >= FEWEST_PAIRS or patience.left <= 0:
            break
    assert best is not None  # tried at least once
    return best[1]


def _save(document: dict[str, Any], path: Path) -> None:
    """Write the whole document aside and move it into place; one record a line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as text:
                head = {k: v for k, v in document.items() if k not in ("constants", "records")}
                text.write(json.dumps(head, indent=1)[: -len("\n}")])
                for part in ("constants", "records"):
                    lines = (json.dumps(r, separators=(",", ":")) for r in document[part])
                    text.write(f',\n "{part}": [\n' + ",\n".join(lines) + "\n ]")
                text.write("\n}\n")
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from error


def record(
    output: Path | str,
    *,
    milliseconds: float = MILLISECONDS,
    configurations: Sequence[Configuration] | None = None,
    patience_s: float = PATIENCE,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Measure this machine with and without the downgrade, and write the run as one document.

    The file appears when the run is complete: what is interrupted leaves nothing.

    The constants are timed before the grid and again after it, on a lock that nobody else uses: no
    arm of any configuration takes part in them.

    Parameters
    ----------
    output : path
        The JSON file to write.
    milliseconds : float
        Of each configuration, both arms and their settling together.
    configurations : sequence of Configuration, optional
        Default: `grid`.
    patience_s : float
        How long in all to wait for an idle machine; a configuration that others disturbed is
        measured again while patience lasts.
    cache : Path, optional
        Where built programs are kept.
    progress : callable, optional
        Called with configurations done and in all.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MeasureError
        If the programs cannot be built or one of them fails.
    InputError
        If the file cannot be written.
    """
    output = Path(output)
    wanted = list(grid() if configurations is None else configurations)
    tools = build(cache)
    before = scheduler_counters()
    document: dict[str, Any] = {
        "schema": SCHEMA, "status": "running", "started": _now(), "finished": None,
        "tool": {
            "compiler": tools.compiler, "cflags": tools.cflags, "milliseconds": milliseconds,
            "nice": os.nice(0), "autogroup": _autogroup(), "patience_s": patience_s,
        },
        "machine": machine_state(), "steal_ticks": None, "noise": [], "constants": [],
        "records": [],
    }  # fmt: skip
    _try(output)
    patience = _Patience(patience_s)
    patience.wait()
    document["noise"] += _measure(tools, "noise", ["--when", "before"])
    document["constants"] += _measure(tools, "lock_constants", [])
    # Drift of the machine is spread over the groups; the order is always the same.
    order = np.random.default_rng(1).permutation(len(wanted))
    for done, place in enumerate(order):
        one = wanted[int(place)]
        document["records"].append(_measure_quietly(tools, one, milliseconds, patience))
        if progress is not None:
            progress(done + 1, len(wanted))
    patience.wait()
    document["constants"] += _measure(tools, "lock_constants", [])
    document["noise"] += _measure(tools, "noise", ["--when", "after"])
    after = scheduler_counters()
    steal = (before["steal"], after["steal"])
    document["steal_ticks"] = None if None in steal else steal[1] - steal[0]  # type: ignore[operator]
    document["machine"]["load_after"] = load_average()
    document["tool"]["patience_left_s"] = max(patience.left, 0.0)
    document["status"], document["finished"] = "complete", _now()
    document["records"].sort(key=lambda r: r["configuration"]["number"])
    _save(document, output)
    return output
