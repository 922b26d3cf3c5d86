"""A picture or a table under a few controls, for a notebook: a small view over the public functions.

Where no widgets are shown, on a code host or on paper, what was drawn first stands for it.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.figures import new_figure, render
from perfmodel.figures.kind import Drawn
from perfmodel.figures.style import GREY, LINES, PAGE, paper, provenance

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

try:
    import ipywidgets as ipw

    from perfmodel.widgets.figureview import FigureView, SliderNames
except ModuleNotFoundError as error:
    if error.name not in ("ipywidgets", "anywidget"):
        raise
    raise MissingExtraError(error.name, "notebook") from None

__all__ = ["Live", "curves"]

#: Width of a picture in CSS pixels, and of a control.
WIDTH, CONTROL = 690, "340px"

_CLASS = "perfmodel-live"

_log = logging.getLogger(__name__)


class Live(ipw.VBox):  # type: ignore[misc]
    """A picture or a table that is drawn anew when a control moves.

    Parameters
    ----------
    draw : callable
        Takes the value of every control by its name. Returns what ``Kind.drawn`` returns, a picture
        with its caption, or HTML as text.
    **controls : ipywidgets.Widget
        Widgets with a ``value``. One that takes longer than a blink to follow is given
        ``continuous_update=False``.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
    view : FigureView
        The picture.
    text : ipywidgets.HTML
        The table, or the picture's caption.
    alert : ipywidgets.HTML
        What went wrong; empty otherwise.

    Raises
    ------
    MissingExtraError
        On import, without the ``notebook`` extra.

    Examples
    --------
    >>> import ipywidgets as ipw
    >>> Live(lambda pages: f"{4 * pages} KiB", pages=ipw.IntSlider(1, 1, 512)).text.value
    '4 KiB'
    """

    def __init__(self, draw: Callable[..., Any], **controls: Any) -> None:
        self.draw = draw
        self.controls = controls
        self.view = FigureView(width=WIDTH)
        self.text = ipw.HTML()
        self.alert = ipw.HTML()
        for name, control in controls.items():
            control.description = control.description or name.replace("_", " ")
            control.style.description_width = "140px"
            control.layout.width = CONTROL
            control.observe(self._moved, names="value")
        rows = ipw.HBox(tuple(controls.values()), layout={"flex_flow": "row wrap"})
        names = SliderNames(root_class=_CLASS)
        super().__init__(children=(rows, self.alert, self.view, self.text, names))
        self.add_class(_CLASS)
        # What cannot be drawn at first is an error of the notebook and stops it.
        self._show(draw(**self._values()))

    def _values(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    def _moved(self, _: Any) -> None:
        """Draw anew; a notebook does not show the errors of callbacks, so they are shown here."""
        try:
            self._show(self.draw(**self._values()))
        except Exception as error:
            _log.debug("a control was moved to where nothing can be drawn", exc_info=True)
            # The old picture stays, and would contradict the controls if nothing were said.
            self.alert.value = (
                '<div role="alert" style="color:#a33e00;line-height:1.35">Not drawn:'
                f" {escape(str(error) or type(error).__name__)}</div>"
            )
        else:
            self.alert.value = ""

    def _show(self, drawn: Any) -> None:
        if isinstance(drawn, Drawn):
            caption = escape(drawn.caption)
            self.view.show(drawn.png, drawn.caption, drawn.caption)
            self.text.value = f'<div style="max-width:{WIDTH}px;line-height:1.35">{caption}</div>'
        else:
            self.text.value = str(drawn)
        self.view.layout.display = None if isinstance(drawn, Drawn) else "none"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the widget, and its picture or table for places that show no widgets."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict):
            if self.view.layout.display is None:
                bundle["image/png"] = base64.b64encode(self.view.png).decode("ascii")
            else:
                bundle["text/html"] = self.text.value
        return bundle


def curves(
    x: ArrayLike, lines: Mapping[str, ArrayLike], *, title: str, x_label: str, y_label: str,
    x_scale: str = "log", y_scale: str = "linear", at: float | None = None,
) -> Drawn:  # fmt: skip
    """Draw a few lines over one abscissa, in the look of all figures.

    Parameters
    ----------
    x : array_like of shape (points,)
    lines : mapping of str to array_like of shape (points,)
        By label, four at most.
    title : str
        The finding.
    x_label, y_label : str
        With units.
    x_scale, y_scale : str
        As Matplotlib calls them.
    at : float, optional
        Where the present case is.

    Returns
    -------
    Drawn
        Its caption says where each line begins and ends.

    Raises
    ------
    InputError
        If there are more lines than colours that can be told apart.
    """
    if len(lines) > len(LINES):
        raise InputError(f"{len(lines)} lines", field="lines", expected=f"at most {len(LINES)}")
    with paper():
        figure = new_figure(PAGE, 3.0)
        axes = figure.subplots()
        marked = max(1, np.size(x) // 8)
        for (label, y), colour, style, marker in zip(
            lines.items(), LINES, ("-", "--", "-.", ":"), "os^D", strict=False
        ):
            axes.plot(
                x, y, color=colour, ls=style, marker=marker, markevery=marked, ms=4, label=label
            )
        if at is not None:
            axes.axvline(at, color=GREY, lw=0.7)
        axes.set(xscale=x_scale, yscale=y_scale, xlabel=x_label, ylabel=y_label)
        axes.grid(visible=True)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        figure.suptitle(title, x=0.01, ha="left")
    source = provenance(None, evidence="model, drawn in a notebook")
    ends = "; ".join(f"{k} {np.ravel(y)[0]:.3g} to {np.ravel(y)[-1]:.3g}" for k, y in lines.items())
    caption = f"{y_label}, from the left end to the right one: {ends}."
    return Drawn(render(figure, "png", title=title, source=source), caption)
