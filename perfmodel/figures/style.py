"""One look for all figures: colours with a second channel, size, provenance, reproducible bytes."""

from __future__ import annotations

import io
import json
import re
import textwrap
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from perfmodel import __version__
from perfmodel.observations import joined
from perfmodel.verdict import time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from perfmodel.machine import Machine
    from perfmodel.observations import Group, ObservationTable

__all__ = [
    "BLACK", "BLUE", "COLUMN", "FORMATS", "GREEN", "GREY", "LINES", "OPERATIONS", "ORANGE", "PAGE",
    "PURPLE", "SKY", "VERMILLION", "WIDTHS", "YELLOW", "Look", "balanced", "drawing", "evidence", "files_of",
    "is_column", "new_figure", "paper", "pooled", "provenance", "render", "us_text", "where_measured",
]  # fmt: skip

# Okabe and Ito's colours. Only the first four have a contrast of 3:1 on white, and may be lines.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, ORANGE, YELLOW, BLACK, GREY = "#56B4E9", "#E69F00", "#F0E442", "#000000", "#8C8C8C"
LINES = (BLUE, VERMILLION, GREEN, PURPLE)

#: Widths in inches: one column of a two-column page, and the whole text width.
COLUMN, PAGE = 3.39, 7.0

#: By the name that a user gives them.
WIDTHS: Mapping[str, float] = {"column": COLUMN, "page": PAGE}

#: Characters of the finding over a figure, per inch of its width.
_TITLE = 13.2

FORMATS = ("svg", "pdf", "png")

#: The spec of a figure: what it draws.
S = TypeVar("S")


class Look:
    """Colour and marker of one series; greyscale keeps the marker."""

    __slots__ = ("colour", "filled", "label", "marker")

    def __init__(self, colour: str, marker: str, label: str, *, filled: bool = True) -> None:
        self.colour, self.marker, self.label, self.filled = colour, marker, label, filled


#: The same operation looks the same in every figure.
OPERATIONS: Mapping[str, Look] = {
    "mprotect": Look(BLUE, "o", "mprotect"),
    "munmap": Look(VERMILLION, "s", "munmap"),
    "uffd_writeprotect": Look(GREEN, "^", "uffd write-protect"),
    "madvise": Look(PURPLE, "D", "MADV_DONTNEED"),
}


def paper() -> AbstractContextManager[None]:
    """Return the context in which figures are made and saved, whatever the user's own settings are."""
    return mpl.style.context("perfmodel.figures.paper", after_reset=True)


def drawing(
    title: Callable[[S], str],
) -> Callable[[Callable[[S, Figure], None]], Callable[[S, Figure], None]]:
    """Make a drawing function one that anybody may call with a spec and a figure.

    The figure is cleared, the finding is written over it, flush left, and the function then draws
    under the style of all figures.

    Parameters
    ----------
    title : callable
        Spec to the finding in one line.
    """

    def decorate(draw: Callable[[S, Figure], None]) -> Callable[[S, Figure], None]:
        @wraps(draw)
        def wrapper(spec: S, figure: Figure) -> None:
            with paper():
                figure.clear()
                words = balanced(title(spec), int(_TITLE * figure.get_figwidth()))
                figure.suptitle(words, x=0.01, ha="left")
                draw(spec, figure)

        return wrapper

    return decorate


def new_figure(width: float = PAGE, height: float = 4.0) -> Figure:
    """Return an empty figure under the style; no pyplot, so nothing has to be closed."""
    with paper():
        return Figure(figsize=(width, height))


def balanced(text: str, most: int) -> str:
    """Break a text into as few lines as `most` characters a line allow, and those of like length.

    A number stays with its unit.
    """
    bound = re.sub(r"(?<=\d) (?=(?:[nµm]?s|%)(?!\w))", "\N{NO-BREAK SPACE}", text)
    count = len(textwrap.wrap(bound, most))
    width = next(w for w in range(1, most + 1) if len(textwrap.wrap(bound, w)) <= count)
    return "\n".join(textwrap.wrap(bound, width)).replace("\N{NO-BREAK SPACE}", " ")


def is_column(figure: Figure) -> bool:
    """Whether a figure is as narrow as one column."""
    return figure.get_figwidth() < (COLUMN + PAGE) / 2


def provenance(
    machine: Machine | None, *, scenario: Mapping[str, Any] | None = None, evidence: str = "model",
    inputs: Iterable[Mapping[str, str]] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return what a figure must say of itself: question, machine, versions, evidence.

    Parameters
    ----------
    machine : Machine or None
        None where the figure is about the models alone and asks no machine.
    scenario : mapping, optional
        ``Scenario.to_dict()`` or the part of it that holds for the whole figure.
    evidence : str
        ``model``, or where and on what it was measured.
    inputs : iterable of mapping
        ``file`` and ``sha256`` of each measured file drawn.
    """
    return {
        "evidence": evidence,
        "inputs": [dict(i) for i in inputs],
        "machine": None if machine is None else {
            "name": machine.name, "sha256": machine.sha256, "evidence": machine.evidence
        },
        "matplotlib": mpl.__version__,
        "perfmodel": __version__,
        "scenario": dict(scenario) if scenario is not None else None,
    }  # fmt: skip


def render(figure: Figure, form: str, *, title: str, source: Mapping[str, Any]) -> bytes:
    """Return the bytes of a figure; the same content gives the same bytes.

    Parameters
    ----------
    figure : Figure
    form : {"svg", "pdf", "png"}
    title : str
        Title in the file's metadata.
    source : mapping
        What `provenance` returns; it is stored as JSON in the file.
    """
    text = json.dumps(source, sort_keys=True, allow_nan=False)
    # Dates are left out: they would make every run's bytes differ.
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": "perfmodel", "Title": title, "Description": text},
        "pdf": {"CreationDate": None, "Creator": "perfmodel", "Producer": None,
                "Title": title, "Subject": text},
        "png": {"Software": None, "Title": title, "Description": text},
    }  # fmt: skip
    buffer = io.BytesIO()
    with paper():
        figure.savefig(buffer, format=form, metadata=metadata[form])
    return buffer.getvalue()


def us_text(ns: float) -> str:
    """Write a time given in ns, three digits, in the unit a person would use."""
    return time_text(ns).replace(" us", " µs")


def where_measured(state: Mapping[str, Any]) -> str:
    """Say on what a run was measured: CPUs, model, virtualisation, kernel.

    Parameters
    ----------
    state : mapping
        The ``machine`` object of a bench document; may be incomplete or empty.
    """
    cpu, kernel = state.get("cpu") or {}, state.get("kernel") or {}
    words = []
    if cpu.get("count"):
        words.append(f"{cpu['count']}-CPU")
    model = str(cpu.get("model") or "").replace("(R)", "").replace("(TM)", "")
    words += [w for w in model.split("@")[0].split() if w not in ("CPU", "Processor")]
    virtual = state.get("virtualisation")
    if virtual and virtual != "none":
        words.append(f"{str(virtual).upper()} guest")
    release = ".".join(str(kernel.get("release") or "").split(".")[:2])
    place = " ".join(words) or "a machine that is not described"
    return place + (f", Linux {release}" if release else "")


def evidence(machine: Machine, table: ObservationTable | None = None) -> str:
    """Say what a figure rests on: the model alone, or measurements, and where they were taken."""
    if table is not None and len(table):
        files = dict.fromkeys(g.source.file for g in table.groups)
        states = [(table.machines.get(f) or {}).get("machine") for f in files]
        places = list(dict.fromkeys(where_measured(s) for s in states if s))
        return "measured: " + ("; ".join(places) or "on a machine that is not described")
    state = machine.state.get("machine") or {}
    basis = f"calibrated on a {where_measured(state)}" if state else "its origin is in the profile"
    return f"model, profile {machine.name}: {basis}"


def files_of(*tables: ObservationTable | None) -> list[dict[str, str]]:
    """Return name and hash of every file of some tables."""
    seen = {
        g.source.file: g.source.sha256
        for table in tables if table is not None for g in table.groups
    }  # fmt: skip
    return [{"file": Path(f).name, "sha256": digest} for f, digest in seen.items()]


def pooled(groups: Iterable[Group], levels: tuple[float, ...]) -> NDArray[np.float64]:
    """Return quantiles over the events of several groups of the same conditions, ns.

    NaN where there is none.
    """
    groups = [g for g in groups if g.moments is None and g.total]
    if not groups:
        return np.full(len(levels), np.nan)
    one = joined(groups)
    return np.array([one.quantile(q) for q in levels])
