"""Read a fixture, or text written on the spot, and look at what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.readers import read

if TYPE_CHECKING:
    from perfmodel.observations import Group, ObservationTable

FOLDER = Path(__file__).parent.parent / "fixtures" / "aggregates"


def fixture(name: str) -> ObservationTable:
    """Return the table of a fixture."""
    return read(FOLDER / name)


def written(folder: Path, text: str | bytes, name: str = "file") -> ObservationTable:
    """Return the table of a file with this text."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path)


def one(table: ObservationTable, phase: str | None = None, **conditions: object) -> Group:
    """Return the only group with these conditions."""
    found = table.select(phase=phase, **conditions).groups
    assert len(found) == 1, [(g.operation, g.phase, dict(g.conditions)) for g in found]
    return found[0]


def reasons(table: ObservationTable) -> str:
    """Return all reasons of skipped lines."""
    return "\n".join(f"{s.line}: {s.reason}" for s in table.reports[0].skipped)


def warnings(table: ObservationTable) -> str:
    """Return all warnings."""
    return "\n".join(table.reports[0].warnings)
