"""What the figures say on their axes, and where their keys stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["key_below", "number", "percent", "signed_percent", "tick_labels"]


def tick_labels(axis: Axis, write: Callable[[float], str], *, minor: bool = False) -> None:
    """Write the ticks of an axis in one's own words.

    Parameters
    ----------
    axis : Axis
    write : callable
        Value to text.
    minor : bool
        Whether the small ticks between stay; they are never labelled.
    """
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    axis.set_minor_formatter(NullFormatter())
    if not minor:
        axis.set_minor_locator(NullLocator())


def number(value: float) -> str:
    """Write a number as short as it can be."""
    return f"{value:g}"


def percent(share: float) -> str:
    """Write a share of one as per cent."""
    return f"{100 * share:.6g} %"


def signed_percent(share: float) -> str:
    """Write a relative change with its sign; nothing where it is none."""
    return f"{100 * share:+.3g} %" if abs(share) > 1e-9 else "0"


def key_below(figure: Figure, keys: Axes | Sequence[Any], columns: int = 3, **looks: Any) -> None:
    """Put the key below all panels.

    Parameters
    ----------
    figure : Figure
    keys : Axes or sequence of artists
        Whose labels are shown.
    columns : int
    **looks
        What `Figure.legend` takes besides.
    """
    handles = keys.get_legend_handles_labels()[0] if isinstance(keys, Axes) else keys
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **looks)
