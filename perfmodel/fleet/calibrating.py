"""Many machines' runs to a profile each: resumable, by several processes or a cluster; no failure is fatal."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfmodel import __version__
from perfmodel.errors import InputError, PerfmodelError
from perfmodel.machine import NAME, Machine
from perfmodel.sweeping.runners import each_on_cluster, each_on_processes
from perfmodel.sweeping.unfinished import unfinished

__all__ = ["Calibrated", "Failed", "FleetCalibration", "calibrate_fleet", "runs_of"]

SCHEMA = "perfmodel.fleet_calibration/1"


@dataclass(frozen=True)
class Calibrated:
    """A profile that was fitted.

    Parameters
    ----------
    name, profile : str
        Of the machine, and the file that holds it.
    files : int
        Runs and traces that it was fitted to.
    sha256, evidence : str
        Of the profile.
    median_absolute_error : float
        Of the fit, relative.
    """

    name: str
    profile: str
    files: int
    sha256: str
    evidence: str
    median_absolute_error: float


@dataclass(frozen=True)
class Failed:
    """A machine without a profile, and why.

    Parameters
    ----------
    name : str
    what : str
        With the file, line and field where there are any.
    """

    name: str
    what: str


@dataclass(frozen=True)
class FleetCalibration:
    """What became of the runs of a fleet.

    Parameters
    ----------
    folder : str
        Where the profiles are.
    profiles : tuple of Calibrated
    failed : tuple of Failed
    computed : int
        Machines that were fitted now; the others were done by an earlier run that was stopped.
    """

    folder: str
    profiles: tuple[Calibrated, ...]
    failed: tuple[Failed, ...]
    computed: int

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "schema": SCHEMA, "folder": self.folder, "profiles": [vars(p) for p in self.profiles],
            "failed": [vars(f) for f in self.failed], "computed": self.computed,
        }  # fmt: skip


def runs_of(folder: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """Return the runs of every machine of a fleet.

    Parameters
    ----------
    folder : path
        Holds a folder for each machine, named as its profile will be, with its runs and traces; a file
        that lies in it directly is a machine of one run.

    Raises
    ------
    InputError
        If there is none, or two would have one name.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError("there is no such folder", file=root, expected="a folder for each machine")
    found: dict[str, list[Path]] = {}
    for place in sorted(root.iterdir()):
        if place.name.startswith("."):
            continue
        files = [place] if place.is_file() else sorted(
            p for p in place.rglob("*") if p.is_file() and not p.name.startswith(".")
        )  # fmt: skip
        name = place.name.partition(".json")[0] if place.is_file() else place.name
        # A run and its trace that lie side by side are of one machine.
        found.setdefault(name, []).extend(files)
    if not found:
        raise InputError("it holds no run", file=root, expected="a folder for each machine")
    return found


def calibrate_fleet(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    kernel: str | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Callable[[float], None] = lambda _: None,
    told: Callable[[str], None] = lambda _: None,
) -> FleetCalibration:
    """Calibrate many machines: a folder of runs in, a folder of profiles out.

    A machine whose runs cannot be read or fitted is counted with the reason, and the others go on. Who is
    killed goes on with the machines that are not done; the folder gets its name when every one is.

    Parameters
    ----------
    folder : path
        As of `runs_of`.
    output : path
        The folder to write: ``NAME.json`` for each machine. It must not exist.
    kernel : str, optional
        Rules for files that do not name their kernel.
    workers : int, optional
        Processes. Default: the CPUs that this process may use.
    cluster : str, optional
        Address of a dask.distributed scheduler whose workers see the same files.
    progress, told : callable
        Get the share done, and a remark on what an earlier run has left.

    Returns
    -------
    FleetCalibration

    Raises
    ------
    InputError
        If there are no runs, or the output exists or cannot be written.
    MissingExtraError
        If a cluster is asked for without its extra.
    """
    machines, target = runs_of(folder), Path(output)
    if kernel is not None:
        from perfmodel.kernel import Kernel

        Kernel(kernel)
    if target.exists():
        raise InputError("it exists and is not overwritten", file=target, expected="another name")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {str(target.parent)!r}", file=target)
    # Everything that the profiles follow from: files that have changed are another question.
    question = json.dumps(
        {
            "perfmodel": __version__, "kernel": kernel,
            "machines": {n: [[str(p.resolve()), _hash(p)] for p in files] for n, files in machines.items()},
        }
    )  # fmt: skip
    try:
        with unfinished(
            target, question, lambda room: (room / "data").mkdir(), "calibration"
        ) as work:
            missing = [name for name in machines if name not in work.done]
            if work.done:
                told(f"{len(work.done)} of {len(machines)} machines are done already")
            files = {n: [str(p.resolve()) for p in machines[n]] for n in missing}
            given = (files, kernel)
            answers = (
                each_on_processes(_calibrated, missing, given, workers=workers)
                if cluster is None
                else each_on_cluster(
                    _calibrated, missing, given, cluster=cluster,
                    name="perfmodel-calibrate-" + hashlib.sha256(question.encode()).hexdigest()[:16],
                )
            )  # fmt: skip
            lines = dict(work.done)
            for done, (name, (profile, line)) in enumerate(answers, len(lines) + 1):
                if profile is not None:
                    (work.room / "data" / f"{name}.json").write_bytes(profile)
                work.finish(name, **line)
                lines[name] = line
                progress(done / len(machines))
            work.give(work.room / "data", target)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", file=target) from None
    return FleetCalibration(
        str(target),
        tuple(Calibrated(name, str(target / f"{name}.json"), **lines[name]["fit"])
              for name in machines if "fit" in lines[name]),
        tuple(Failed(name, lines[name]["what"]) for name in machines if "what" in lines[name]),
        len(missing),
    )  # fmt: skip


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _calibrated(
    files: dict[str, list[str]], kernel: str | None, name: str
) -> tuple[bytes | None, dict[str, Any]]:
    """Fit one machine; what a worker runs.

    Returns
    -------
    bytes or None
        The profile as it is written.
    dict
        What the journal keeps of it: ``fit``, or ``what`` was wrong.
    """
    from perfmodel.fit import calibrate

    try:
        if not re.fullmatch(NAME, name):
            raise InputError(f"{name!r} is no name for a profile", file=files[name][0],
                             expected="letters, digits, dots, dashes and underscores")  # fmt: skip
        if not files[name]:
            raise InputError("the folder holds no file", file=name)
        machine: Machine = calibrate(files[name], name=name, kernel=kernel).machine
    except PerfmodelError as error:
        return None, {"what": str(error)}
    fit = {
        "files": len(files[name]), "sha256": machine.sha256, "evidence": machine.evidence,
        "median_absolute_error": machine.fit["median_absolute_error"],
    }  # fmt: skip
    return machine.to_bytes(), {"fit": fit}
