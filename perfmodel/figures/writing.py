"""Write figures, captions, data and a manifest; a folder never holds half of a set."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from perfmodel import __version__
from perfmodel.errors import InputError, MissingExtraError
from perfmodel.figures.kind import Inputs, Kind, Rows
from perfmodel.figures.style import FORMATS, WIDTHS, files_of, new_figure, render

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["MANIFEST", "SCHEMA", "data_bytes", "make", "write_all"]

SCHEMA = "perfmodel.figures/1"
MANIFEST = "MANIFEST.json"


def _cell(value: Any) -> str:
    if isinstance(value, (bool, int, str)):
        return str(value)
    number = float(value)
    # Ten digits: the last ones differ between processors.
    return f"{number:.10g}" if math.isfinite(number) else ""


def data_bytes(rows: Rows) -> bytes:
    """Return the data file of a figure: CSV, empty cells where unknown."""
    head, body = rows
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_cell(v) for v in row] for row in body)
    return buffer.getvalue().encode()


def make(kind: Kind, inputs: Inputs, formats: Iterable[str] = FORMATS) -> dict[str, bytes] | str:
    """Make one figure.

    Parameters
    ----------
    kind : Kind
    inputs : Inputs
    formats : iterable of str

    Returns
    -------
    dict of str to bytes, or str
        Content by file name; or the reason why there is nothing to draw.
    """
    try:
        spec = kind.build(inputs)
    except MissingExtraError as error:
        return str(error)
    if why := kind.lacks(spec):
        return why
    heading = kind.title(spec)
    figure = new_figure(*kind.size)
    kind.draw(spec, figure)
    source = kind.source(spec)
    files = {
        f"{kind.name}.{form}": render(figure, form, title=heading, source=source)
        for form in formats
    }
    picture = next((f for f in ("svg", "png") if f"{kind.name}.{f}" in files), None)
    shown = (
        f"![{_one_line(kind.alt(spec))}]({kind.name}.{picture})\n\n"
        if picture
        else (f"{kind.alt(spec)}\n\n")
    )
    files[f"{kind.name}.md"] = (
        f"{shown}**{heading}.** {kind.caption(spec)}\n\nData: [{kind.name}.csv]({kind.name}.csv)\n"
    ).encode()
    files[f"{kind.name}.csv"] = data_bytes(kind.rows(spec))
    return files


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("[", "(").replace("]", ")")


def _chosen(only: Sequence[str] | None, formats: Sequence[str], width: str) -> tuple[Kind, ...]:
    from perfmodel.figures import EVERY

    for form in formats:
        if form not in FORMATS:
            raise InputError(f"there is no format {form!r}", field="formats",
                             expected="some of " + ", ".join(FORMATS))  # fmt: skip
    if width not in WIDTHS:
        raise InputError(f"there is no width {width!r}", field="width",
                         expected="one of " + ", ".join(WIDTHS))  # fmt: skip
    every = tuple(kind.at(width) for kind in EVERY)
    if only is None:
        return every
    names = [k.name for k in EVERY]
    for name in only:
        if name not in names:
            raise InputError(f"there is no figure {name!r}", field="only",
                             expected="some of " + ", ".join(names))  # fmt: skip
    return tuple(k for k in every if k.name in only)


def write_all(
    machine: Machine, table: ObservationTable | None = None, *, directory: str | os.PathLike[str],
    held_out: ObservationTable | None = None, formats: Sequence[str] = FORMATS,
    only: Sequence[str] | None = None, width: str = "page", progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:  # fmt: skip
    """Write figures with captions, data and a manifest.

    Everything is made before the first file is put in place, each file is put in place whole, and
    the manifest, which names all of them with their hashes, comes last.

    Parameters
    ----------
    machine : Machine
    table : ObservationTable, optional
        Measurements to draw; without them the figures show the model alone and say so.
    directory : path
        Made if it is missing (its parent must exist).
    held_out : ObservationTable, optional
        A run the machine was not fitted to, for the comparison of measured and predicted.
    formats : sequence of {"svg", "pdf", "png"}
    only : sequence of str, optional
        Names of figures. Default: all.
    width : {"page", "column"}
        Of the figures; those that do not read in one column of a two-column page stay as wide as it.
    progress : callable
        Told in a few words what is being done.

    Returns
    -------
    list of Path
        Files written, the manifest last. Empty formats of a figure that has nothing to show are
        left out; the manifest says why.

    Raises
    ------
    InputError
        If a name, format or width is unknown, or the folder cannot be written.
    """
    kinds = _chosen(only, formats, width)
    files: dict[str, bytes] = {}
    entries: list[dict[str, Any]] = []
    for kind in kinds:

        def report(share: float, name: str = kind.name) -> None:
            progress(f"{name} {100 * share:.0f} %")

        report(0.0)
        made = make(kind, Inputs(machine, table, held_out, report), formats)
        if isinstance(made, str):
            entries.append({"name": kind.name, "files": [], "left_out": made})
            continue
        files.update(made)
        entries.append({
            "name": kind.name,
            "files": [
                {"file": n, "sha256": hashlib.sha256(b).hexdigest()} for n, b in made.items()
            ],
        })  # fmt: skip
    manifest = {
        "schema": SCHEMA,
        "perfmodel": __version__,
        "matplotlib": mpl.__version__,
        "machine": {"name": machine.name, "sha256": machine.sha256, "evidence": machine.evidence},
        "inputs": files_of(table, held_out),
        "figures": entries,
    }
    files[MANIFEST] = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    return _place(files, Path(directory))


def _place(files: dict[str, bytes], directory: Path) -> list[Path]:
    """Write all files aside, then move each into place; the last one is the manifest."""
    try:
        directory.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix=".figures-") as aside:
            for name, content in files.items():
                Path(aside, name).write_bytes(content)
            return [Path(aside, name).replace(directory / name) for name in files]
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", file=directory) from None
