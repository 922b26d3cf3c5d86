"""What a figure is to the machinery that writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from perfmodel.experiment import Recorded
    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable
    from perfmodel.validation import Validation

__all__ = ["Drawn", "Inputs", "Kind", "Rows"]

#: Header and rows of the data file beside a figure.
Rows = tuple[Sequence[str], Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class Inputs:
    """What figures are made from.

    Parameters
    ----------
    machine : Machine
        The costs.
    table : ObservationTable, optional
        What was measured; figures draw the model alone without it.
    held_out : ObservationTable, optional
        A run that the machine was not fitted to, for the comparison of the two.
    progress : callable
        Told the share of the present figure that is done, 0 to 1.
    validation : Validation, optional
        That comparison, where it is made already.
    experiment : Recorded, optional
        The recorded kernel experiment, where it is read already.
    """

    machine: Machine
    table: ObservationTable | None = None
    held_out: ObservationTable | None = None
    progress: Callable[[float], None] = lambda _: None
    validation: Validation | None = None
    experiment: Recorded | None = None

    @classmethod
    def shipped(cls, name: str) -> Inputs:
        """Return a shipped profile, and the recorded run that it was not fitted to.

        Parameters
        ----------
        name : str
            Of the profile.

        Raises
        ------
        InputError
            If there is no such profile.
        """
        from perfmodel.figures.recorded import held_out_run
        from perfmodel.machine import Machine
        from perfmodel.readers import read

        machine = Machine.load(name)
        runs = held_out_run(machine)
        return cls(machine, read(runs) if runs else None)


@dataclass(frozen=True)
class Drawn:
    """A drawn figure as a notebook shows it.

    Parameters
    ----------
    png : bytes
    caption : str
    """

    png: bytes
    caption: str

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True)
class Kind:
    """One figure: how its data are made, drawn, described and written.

    Parameters
    ----------
    name : str
        Of the files.
    size : tuple of float
        Width and height in inches.
    question : str
        What somebody in the thread asked, or would have, and the figure answers.
    column : float
        Height in inches where the figure is as wide as one column; 0 if it does not read well there.
    claims : tuple of str
        Which of the thread's claims it bears on, as :mod:`perfmodel.claims` names them.
    build : callable
        Inputs to the spec, the figure as plain data.
    draw : callable
        Spec and a figure, cleared first, to a drawn one.
    title, caption, alt : callable
        Spec to the finding in one line, to the caption, and to the text for who cannot see it.
    rows : callable
        Spec to the table of everything drawn.
    source : callable
        Spec to its provenance. Default: its attribute ``source``.
    lacks : callable
        Spec to the reason why there is nothing to draw; empty where there is.
    """

    name: str
    size: tuple[float, float]
    question: str
    build: Callable[[Inputs], Any]
    draw: Callable[[Any, Figure], None]
    title: Callable[[Any], str]
    caption: Callable[[Any], str]
    alt: Callable[[Any], str]
    rows: Callable[[Any], Rows]
    source: Callable[[Any], Mapping[str, Any]] = attrgetter("source")
    lacks: Callable[[Any], str] = lambda _: ""
    claims: tuple[str, ...] = ()
    column: float = 0.0

    def at(self, width: str) -> Kind:
        """Return the figure for a width of ``"page"`` or ``"column"``; as it is if it reads in no column."""
        from perfmodel.figures.style import COLUMN

        return (
            replace(self, size=(COLUMN, self.column)) if width == "column" and self.column else self
        )

    def drawn(self, spec: Any) -> Drawn:
        """Return the figure of a spec, for a notebook: ``who_breaks.FIGURE.drawn(who_breaks.data_for())``."""
        from perfmodel.figures.style import new_figure, render

        figure = new_figure(*self.size)
        self.draw(spec, figure)
        png = render(figure, "png", title=self.title(spec), source=self.source(spec))
        return Drawn(png, self.caption(spec))
