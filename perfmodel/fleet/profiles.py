"""Where the profiles of a fleet come from: names, files, folders and tables, read one after another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfmodel.errors import InputError
from perfmodel.fleet.table import is_table, machines_of
from perfmodel.machine import Machine

__all__ = ["Damaged", "Profile", "count_profiles", "profiles_of"]


@dataclass(frozen=True, eq=False)
class Profile:
    """A profile and where it was found.

    Parameters
    ----------
    machine : Machine
    source : str
        Its file; of a table its file and row.
    sha256 : str
        Of the profile as its own file has it.
    """

    machine: Machine
    source: str
    sha256: str


@dataclass(frozen=True)
class Damaged:
    """Something that was to be a profile and is none.

    Parameters
    ----------
    source : str
    field : str
        The field that is wrong; empty where it is the whole.
    what : str
        What is wrong, and what would be right.
    """

    source: str
    field: str
    what: str

    @classmethod
    def of(cls, error: InputError, source: str) -> Damaged:
        """Return what an error says of a source."""
        expected = f" (expected {error.expected})" if error.expected else ""
        return cls(source, error.field or "", error.what + expected)


def profiles_of(sources: Sequence[str | os.PathLike[str] | Machine]) -> Iterator[Profile | Damaged]:
    """Read the profiles of a fleet, in order, one or one part of a table in memory at a time.

    Parameters
    ----------
    sources : sequence of path, str or Machine
        Names of shipped profiles, profiles' files, folders (every ``.json`` below) and Parquet tables
        of constants (:mod:`perfmodel.fleet.table`), told by content.

    Yields
    ------
    Profile or Damaged
    """
    for source in sources:
        if isinstance(source, Machine):
            yield Profile(source, source.name, source.sha256)
            continue
        path = Path(source)
        if path.is_dir():
            files = sorted(path.rglob("*.json"))
            if not files:
                yield Damaged(str(path), "", "there is no .json file in this folder")
            for file in files:
                yield _one(file)
        elif path.is_file() and is_table(path):
            yield from _of_table(path)
        else:
            yield _one(path)


def _one(path: Path) -> Profile | Damaged:
    try:
        machine = Machine.load(path)
    except InputError as error:
        return Damaged.of(error, str(path))
    except (OSError, ValueError) as error:  # too long a name, a NUL in it
        return Damaged(str(path), "", f"cannot be read ({error})")
    return Profile(machine, str(path), machine.sha256)


def _of_table(path: Path) -> Iterator[Profile | Damaged]:
    try:
        for row, found, sha256 in machines_of(path):
            source = f"{path}, row {row}"
            if isinstance(found, InputError):
                yield Damaged.of(found, source)
            else:
                yield Profile(found, source, sha256 or found.sha256)
    except InputError as error:
        yield Damaged.of(error, str(path))


def count_profiles(sources: Sequence[str | os.PathLike[str] | Machine]) -> int:
    """Return about how many profiles there are, without reading them."""
    from perfmodel.fleet.table import rows_of

    count = 0
    for source in sources:
        path = None if isinstance(source, Machine) else Path(source)
        if path is not None and path.is_dir():
            count += sum(1 for _ in path.rglob("*.json"))
        elif path is not None and path.is_file() and is_table(path):
            count += rows_of(path)
        else:
            count += 1
    return count
