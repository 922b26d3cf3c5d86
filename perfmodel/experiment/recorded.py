"""The experiment that is shipped: runs without a cut, the prediction, runs with all cuts, races."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError
from perfmodel.experiment.compare import Row, compare
from perfmodel.experiment.document import Prediction, load_prediction
from perfmodel.experiment.measured import Slice, slices
from perfmodel.resources import calibration_path

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NAME", "RaceCount", "Recorded", "load_experiment", "race_counts", "recorded"]

#: Folder below ``calibration/data``.
NAME = "kernel-lab-6.1"

_RACE_SCHEMA = "perfmodel.race/1"


@dataclass(frozen=True)
class RaceCount:
    """What became of one race under one cut, over all boots.

    Parameters
    ----------
    name, cut : str
    rule : str
        The kernel's rule that was taken away; empty with all of them.
    rounds, met, reproduced : int
        Rounds in all, those in which the second actor did its part within the call, and those that
        lost a store.
    """

    name: str
    cut: str
    rule: str
    rounds: int
    met: int
    reproduced: int


@dataclass(frozen=True, eq=False)
class Recorded:
    """The whole experiment, read.

    Parameters
    ----------
    folder : Path
    prediction : Prediction
    slices : tuple of Slice
        Of all runs that were made after the prediction.
    rows : tuple of Row
    races : tuple of RaceCount
    laboratory : mapping
        Guest and host, of the first document.
    """

    folder: Path
    prediction: Prediction
    slices: tuple[Slice, ...]
    rows: tuple[Row, ...]
    races: tuple[RaceCount, ...]
    laboratory: Mapping[str, Any]

    @property
    def host_cpus(self) -> int:
        """CPUs of the host that ran the guests."""
        return int(self.laboratory["host"]["cpus"])

    @property
    def evidence(self) -> str:
        """What every number of it is, for captions."""
        lab = self.laboratory
        return (
            f"emulated ({lab['accelerator']} of QEMU {lab['qemu']} on {self.host_cpus} CPUs,"
            " Linux 6.1 with a cut)"
        )


def load_experiment(folder: Path, runs: Sequence[Path] | None = None) -> Recorded:
    """Read a prediction and the runs that came after it.

    Parameters
    ----------
    folder : Path
        Holds ``prediction.json`` and, in ``run-*`` and ``races-*``, what `perfmodel measure
        --kernel-lab` wrote.
    runs : sequence of Path, optional
        Folders of runs and races; default those.

    Raises
    ------
    InputError
        If something is missing or damaged, or no run has what was predicted.
    """
    from perfmodel.readers import read

    prediction = load_prediction(folder / "prediction.json")
    chosen = sorted(folder.glob("run-*")) if runs is None else list(runs)
    documents = [
        p for run in chosen for p in sorted(run.glob("boot*.json*")) if "trace" not in p.name
    ]
    if not documents:
        raise InputError("no run is there", file=folder,
                         expected="run-1/boot1-2cpu-none.json and so on")  # fmt: skip
    table = read(documents)
    found = slices(table, prediction.wake_latency)
    rows = compare(prediction.rows, found)
    if not rows:
        raise InputError("the runs hold none of the points that were predicted", file=folder)
    first = next(iter(table.machines.values()))["machine"]["laboratory"]
    raced = chosen if runs is not None else [*chosen, *sorted(folder.glob("races-*"))]
    races = race_counts([p for run in raced for p in [run / "races.json"] if p.is_file()])
    return Recorded(folder, prediction, tuple(found), tuple(rows), tuple(races), first)


def race_counts(paths: Sequence[Path]) -> list[RaceCount]:
    """Add up the races of some runs.

    Raises
    ------
    InputError
        If a file is no document of races.
    """
    sums: dict[tuple[str, str, str], Counter[str]] = {}
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema"] != _RACE_SCHEMA:
                raise InputError(f"the schema is {content['schema']!r}", file=path, field="schema",
                                 expected=_RACE_SCHEMA)  # fmt: skip
            for boot in content["boots"]:
                for race in boot["races"]:
                    taken = [w for w in ("exclusive", "nested") if race[f"ignore_{w}"]]
                    counts = sums.setdefault(
                        (race["name"], race["cut"], ", ".join(taken)), Counter()
                    )
                    counts.update({n: int(race[n]) for n in ("rounds", "met", "reproduced")})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"cannot be read as races ({error})", file=path) from None
    return [RaceCount(*key, c["rounds"], c["met"], c["reproduced"]) for key, c in sums.items()]


@cache
def recorded() -> Recorded:
    """Return the shipped experiment.

    Raises
    ------
    InputError
        If it is not there.
    """
    return load_experiment(calibration_path("data", NAME))
