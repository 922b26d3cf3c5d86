"""The one call into `perfmodel.figures`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["FORMATS", "formats_from", "write_figures"]

#: Formats that a figure can be written in.
FORMATS = ("svg", "pdf", "png")


def formats_from(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of formats.

    Raises
    ------
    InputError
        If one is unknown or none is named.
    """
    names = tuple(dict.fromkeys(w.strip().lower() for w in text.split(",") if w.strip()))
    unknown = [n for n in names if n not in FORMATS]
    if unknown or not names:
        raise InputError(
            f"there is no format {unknown[0]!r}" if unknown else "no format is named",
            field="--format", expected="some of " + ", ".join(FORMATS),
        )  # fmt: skip
    return names


def write_figures(
    machine: Machine,
    directory: Path,
    *,
    table: ObservationTable | None = None,
    held_out: ObservationTable | None = None,
    formats: tuple[str, ...] = FORMATS,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write every figure that can be drawn from what is given.

    Parameters
    ----------
    machine : Machine
        The costs.
    directory : Path
        Where to; it is made if its parent exists.
    table, held_out : ObservationTable, optional
        What was measured, and a run that the machine was not fitted to.
    formats : tuple of str
        Some of `FORMATS`.
    progress : callable
        Told in a few words what is being done.

    Returns
    -------
    list of Path
        All files written.

    Raises
    ------
    InputError
        If the folder cannot be made.
    """
    from perfmodel import figures

    try:
        directory.mkdir(exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be made a folder ({error})", file=directory) from None
    written = figures.write_all(
        machine, table, held_out=held_out, directory=directory, formats=formats, progress=progress
    )
    return list(written)
