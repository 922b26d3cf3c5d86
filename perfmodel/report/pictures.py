"""The one call into `perfmodel.figures`, and what it leaves behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perfmodel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["FORMATS", "caption", "formats_from", "left_out", "write_figures"]

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
    only: Sequence[str] | None = None,
    width: str = "page",
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
    only : sequence of str, optional
        Names of figures; all of them without it.
    width : {"page", "column"}
        Of those that read in one column of a two-column page.
    progress : callable
        Told in a few words what is being done.

    Returns
    -------
    list of Path
        All files written.

    Raises
    ------
    InputError
        If the folder cannot be made or written.
    """
    from perfmodel import figures

    try:
        return figures.write_all(
            machine,
            table,
            directory=directory,
            held_out=held_out,
            formats=formats,
            only=only,
            width=width,
            progress=progress,
        )
    except ValueError as error:  # a NUL in the name
        raise InputError(f"cannot be made a folder ({error})", file=directory) from None


def left_out(paths: Sequence[Path]) -> list[str]:
    """Return which figures were not drawn and why, from the manifest among `paths`."""
    for path in paths:
        if path.name == "MANIFEST.json":
            entries = json.loads(path.read_text(encoding="utf-8"))["figures"]
            return [f"{e['name']}: {e['left_out']}" for e in entries if e.get("left_out")]
    return []


def caption(picture: Path) -> str:
    """Return the caption that was written beside a figure, without its markup; or its name."""
    beside = picture.with_suffix(".md")
    if beside.is_file():
        for paragraph in beside.read_text(encoding="utf-8").split("\n\n"):
            if paragraph.startswith("**"):
                return " ".join(paragraph.replace("**", "").split())
    return picture.stem.replace("_", " ").replace("-", " ")
