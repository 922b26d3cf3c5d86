"""The figures of the write-up: each one module with its data, its drawing and its caption.

To add a figure, write a module with a ``FIGURE`` (see :class:`perfmodel.figures.kind.Kind`) and add
its line to `FIGURES`. A notebook draws one into a figure of its own::

    from perfmodel.figures import break_even_map, new_figure

    figure = new_figure(*break_even_map.FIGURE.size)
    break_even_map.draw(break_even_map.data_for(machine), figure)
"""

from __future__ import annotations

from perfmodel.figures import (
    break_even_map,
    closed_form_errors,
    counterfactual,
    extrapolation,
    few_cpus,
    full_line,
    hold_law,
    hold_phases,
    measured_against_predicted,
    natural_experiment,
    near_saturation,
    published,
    several_callers,
    stale_window,
    textbook_rule,
    validation,
    who_breaks,
)
from perfmodel.figures.kind import Inputs, Kind
from perfmodel.figures.style import FORMATS, new_figure, render
from perfmodel.figures.writing import write_all

__all__ = [
    "COUNTERFACTUAL", "FAILURES", "FIGURES", "FORMATS", "PUBLISHED", "SAFETY", "Inputs", "Kind",
    "new_figure", "render", "write_all",
]  # fmt: skip

#: Of a machine, in the order of the write-up.
FIGURES: tuple[Kind, ...] = (
    hold_phases.FIGURE,
    natural_experiment.FIGURE,
    break_even_map.FIGURE,
    measured_against_predicted.FIGURE,
    validation.FIGURE,
)

#: Whether a cut is safe, and what it would lose.
SAFETY: tuple[Kind, ...] = (who_breaks.FIGURE, stale_window.FIGURE)

#: The model beside what others published.
PUBLISHED: tuple[Kind, ...] = (published.FIGURE,)

#: A lock that one can really downgrade, on real cores.
COUNTERFACTUAL: tuple[Kind, ...] = (counterfactual.FIGURE,)

#: Where the models are wrong, whatever the machine; in the order of the page that shows them.
FAILURES: tuple[Kind, ...] = (
    textbook_rule.FIGURE,
    near_saturation.FIGURE,
    hold_law.FIGURE,
    several_callers.FIGURE,
    few_cpus.FIGURE,
    full_line.FIGURE,
    extrapolation.FIGURE,
    closed_form_errors.FIGURE,
)
