"""The figures of the write-up: each one module with its data, its drawing and its caption.

To add a figure, write a module with a ``FIGURE`` (see :class:`perfmodel.figures.kind.Kind`) and add
its line to `WRITE_UP`. A notebook draws one with two lines::

    kind = figure("break_even_map")
    kind.drawn(kind.build(Inputs.shipped("xeon-vm-6.18")))
"""

from __future__ import annotations

from perfmodel.errors import InputError
from perfmodel.figures import (
    break_even_map,
    closed_form_errors,
    cost_of_blocking,
    counterfactual,
    eras,
    extrapolation,
    fault_latencies,
    few_cpus,
    full_line,
    gain_by_policy,
    guard_price,
    hold_law,
    hold_phases,
    kernel_experiment,
    locked_op,
    measured_against_predicted,
    natural_experiment,
    near_saturation,
    published,
    several_callers,
    shootdown,
    stale_window,
    textbook_rule,
    validation,
    waits_over_load,
    where_the_time_goes,
    who_breaks,
)
from perfmodel.figures.kind import Inputs, Kind
from perfmodel.figures.style import FORMATS, new_figure, render
from perfmodel.figures.writing import write_all

__all__ = [
    "EVERY", "FAILURES", "FIGURES", "FORMATS", "WRITE_UP", "Inputs", "Kind", "figure", "new_figure",
    "render", "write_all",
]  # fmt: skip

#: The write-up's figures, in its order; each says which question of the thread it answers.
WRITE_UP: tuple[Kind, ...] = (
    hold_phases.FIGURE,
    cost_of_blocking.FIGURE,
    natural_experiment.FIGURE,
    fault_latencies.FIGURE,
    waits_over_load.FIGURE,
    textbook_rule.FIGURE,
    locked_op.FIGURE,
    shootdown.FIGURE,
    gain_by_policy.FIGURE,
    where_the_time_goes.FIGURE,
    break_even_map.FIGURE,
    eras.FIGURE,
    who_breaks.FIGURE,
    guard_price.FIGURE,
    stale_window.FIGURE,
    counterfactual.FIGURE,
    kernel_experiment.FIGURE,
    measured_against_predicted.FIGURE,
    validation.FIGURE,
    published.FIGURE,
)

#: Those of one profile and its runs, which a report on it shows.
FIGURES: tuple[Kind, ...] = (
    hold_phases.FIGURE,
    natural_experiment.FIGURE,
    break_even_map.FIGURE,
    measured_against_predicted.FIGURE,
    validation.FIGURE,
)

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

#: Every figure once: the write-up's, then what the page of failures has besides.
EVERY: tuple[Kind, ...] = tuple(dict.fromkeys((*WRITE_UP, *FAILURES)))


def figure(name: str) -> Kind:
    """Return a figure by its name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    for kind in EVERY:
        if kind.name == name:
            return kind
    raise InputError(f"there is no figure {name!r}", field="name",
                     expected="one of " + ", ".join(k.name for k in EVERY))  # fmt: skip
