"""Whether a run is really another one than the fit's, and of the same machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError

if TYPE_CHECKING:
    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["differences", "files_of_run"]


def files_of_run(fitted: Collection[str], table: ObservationTable, *, field: str) -> dict[str, str]:
    """Return the files of a run and their SHA-256.

    Parameters
    ----------
    fitted : collection of str
        SHA-256 of the files that the fit sees.
    table : ObservationTable
        The run.
    field : str
        The option or argument that named it.

    Raises
    ------
    InputError
        If the fit sees one of them: then nothing is held out.
    """
    files = {g.source.file: g.source.sha256 for g in table.groups}
    for file, digest in files.items():
        if digest in fitted:
            raise InputError(
                "the profile was fitted to this very file, so it is not held out",
                file=file, field=field, expected="a run that the fit has not seen",
            )  # fmt: skip
    return files


def differences(machine: Machine, table: ObservationTable) -> list[str]:
    """Name what tells that the run is from another machine than the profile."""
    ours = machine.state.get("machine") or {}
    found = []
    for file, document in table.machines.items():
        theirs = document.get("machine") or {}
        for what, path in (("CPU model", ("cpu", "model")), ("kernel", ("kernel", "release"))):
            a, b = (_at(m, *path) for m in (ours, theirs))
            if a and b and a != b:
                found.append(f"{file}: {what} {b!r}, while the profile was fitted on {a!r}")
    return found


def _at(document: Any, *path: str) -> Any:
    """Return a nested value; None where a part is missing or no mapping."""
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document
