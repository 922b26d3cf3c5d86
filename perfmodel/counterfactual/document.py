"""The recorded run: its fields, their checks, and where the shipped ones lie."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from perfmodel.counterfactual.configuration import GROUPS
from perfmodel.counterfactual.recording import SCHEMA
from perfmodel.counterfactual.slices import COLUMNS, Record
from perfmodel.document import decode
from perfmodel.errors import InputError
from perfmodel.resources import calibration_path

__all__ = ["ConstantRecord", "Run", "load", "recorded"]

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class ConstantRecord(msgspec.Struct, kw_only=True):
    """What was timed without any arm: a distribution in ns."""

    benchmark: str
    operation: str
    conditions: dict[str, float]
    count: _Count
    median: float | None
    mean: float | None


class _Document(msgspec.Struct, kw_only=True):
    schema: str
    status: Literal["complete", "running"]
    started: str
    finished: str | None
    tool: dict[str, Any]
    machine: dict[str, Any]
    steal_ticks: int | None
    noise: list[dict[str, Any]]
    constants: list[ConstantRecord]
    records: list[Record]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded run.

    Parameters
    ----------
    file : str
        Name of the file.
    sha256 : str
        Of its bytes.
    started : str
    machine : dict
        State of the machine, as ``perfmodel measure`` describes it.
    steal_ticks : int or None
        Clock ticks that the hypervisor gave to others meanwhile.
    cpus : int
        CPUs that the threads could use.
    constants : tuple of ConstantRecord
    records : tuple of Record
        In the order of the grid.
    """

    file: str
    sha256: str
    started: str
    machine: dict[str, Any]
    steal_ticks: int | None
    cpus: int
    constants: tuple[ConstantRecord, ...]
    records: tuple[Record, ...]


def load(path: Path | str) -> Run:
    """Read and check a recorded run.

    Raises
    ------
    InputError
        With the field, where the file is not a complete run of this format.
    """
    path = Path(path)
    document, raw = decode(path, _Document, SCHEMA)
    if document.status != "complete":
        raise InputError("the run did not come to its end", file=path, field="status",
                         expected="complete")  # fmt: skip
    for place, record in enumerate(document.records):
        _check(record, path, f"records[{place}]")
    if not document.records:
        raise InputError("nothing was measured", file=path, field="records")
    cpus = (document.machine.get("cpu") or {}).get("usable")
    if not isinstance(cpus, int) or cpus < 1:
        raise InputError(f"{cpus!r} CPUs", file=path, field="machine.cpu.usable",
                         expected="a number of CPUs")  # fmt: skip
    return Run(
        file=path.name, sha256=hashlib.sha256(raw).hexdigest(), started=document.started,
        machine=document.machine, steal_ticks=document.steal_ticks, cpus=cpus,
        constants=tuple(document.constants), records=tuple(document.records),
    )  # fmt: skip


def _check(record: Record, path: Path, field: str) -> None:
    if missing := [name for name in COLUMNS if name not in record.columns]:
        raise InputError(f"the column {missing[0]!r} is missing", file=path,
                         field=f"{field}.columns")  # fmt: skip
    if record.configuration.group not in GROUPS:
        raise InputError(f"there is no group {record.configuration.group!r}", file=path,
                         field=f"{field}.configuration.group",
                         expected="one of " + ", ".join(GROUPS))  # fmt: skip
    if any(len(row) != len(record.columns) for row in record.slices):
        raise InputError("a slice has another number of columns than are named", file=path,
                         field=f"{field}.slices")  # fmt: skip
    arms = [row[record.columns.index("arm")] for row in record.slices]
    paired = len(arms) >= 6 and not len(arms) % 2
    if not paired or any({*arms[i : i + 2]} != {0, 1} for i in range(0, len(arms), 2)):
        raise InputError("the slices are no pairs of both arms", file=path,
                         field=f"{field}.slices", expected="three pairs or more")  # fmt: skip
    if any(row[record.columns.index("ns")] == 0 for row in record.slices):
        raise InputError("a slice has no length", file=path, field=f"{field}.slices")
    if record.count_at_end or record.waiting_at_end:
        raise InputError(
            f"the lock was not free at the end (count {record.count_at_end}, "
            f"{record.waiting_at_end} waiting)", file=path, field=field, expected="0 and 0",
        )  # fmt: skip


def recorded() -> tuple[Path, ...]:
    """Return the recorded runs that are shipped, by folder and name; none if there are none."""
    try:
        root = calibration_path("data")
    except InputError:
        return ()
    return tuple(sorted(root.glob("*/downgrade-*.json")))
