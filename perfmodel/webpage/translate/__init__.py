"""The model in JavaScript, translated from its Python source.

The page must give the numbers that Python gives. A second pipeline written by hand would drift with
every change of the first, so there is none: from the functions that the page calls, `reach` finds
everything that a prediction runs through; `statements` and `expressions` translate the source of each
function and class, `formulas` the declared equations, `values` the constants; `fusion` makes one loop
of a nest of arithmetic over arrays. What is translated runs on a small runtime by hand
(``static/python.js``, ``static/arrays.js`` and their neighbours), which knows what Python and numpy mean
by an index or a sum. What cannot be translated is listed, with the reason, in `replaced`.
Anything that the translation does not know is an error when the page is made, never another number.
"""

from __future__ import annotations

from perfmodel.webpage.translate.reach import Reached
from perfmodel.webpage.translate.source import TranslationError

__all__ = ["TranslationError", "model_script"]


def model_script() -> str:
    """Return the model as JavaScript: a constant ``MODEL`` with what the page calls.

    Raises
    ------
    TranslationError
        If the model uses something that has no translation; the message says where it stands.
    """
    from perfmodel.hold import not_applicable
    from perfmodel.kernel import Kernel
    from perfmodel.prediction import predict
    from perfmodel.report.numbers import gain_text, probability_text, share_text, time_text
    from perfmodel.report.prediction import prediction_blocks
    from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers
    from perfmodel.verdict import judge
    from perfmodel.widgets.state import ExplorerState

    entries = (
        predict, judge, not_applicable, Scenario, Call, Faults, Writers, Policy, Kernel,
        ExplorerState.to_command, ExplorerState.to_python, gain_text, probability_text, share_text,
        prediction_blocks, time_text,
    )  # fmt: skip
    methods = ("from_dict", "to_dict", "interval", "p_pays", "replace",
               "broken", "parse")  # fmt: skip
    return Reached().script(entries, methods)
