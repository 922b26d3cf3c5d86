"""One HTML file with the model, the machines and the view in it: no server, no network."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from perfmodel import __version__
from perfmodel.machine import Machine
from perfmodel.prediction import DRAWS
from perfmodel.webpage.content import content
from perfmodel.webpage.prepared import prepared
from perfmodel.webpage.translate import model_script
from perfmodel.webpage.translate.formulas import domains
from perfmodel.webpage.translate.loops import loops

__all__ = ["model_part", "page_html"]

#: Scripts of the page by hand: the runtime under the model, what is asked of it, the view.
_RUNTIME = ("arrays.js", "numpy.js", "python.js", "builtins.js", "special.js")
_OUTSIDE = ("outside.js",)
_ASKING = ("asking.js",)
_VIEW = ("state.js", "charts.js", "view.js", "controls.js", "elsewhere.js", "app.js")


def _static(name: str) -> str:
    return files("perfmodel.webpage").joinpath("static", name).read_text("utf-8")


@cache
def model_part() -> str:
    """Return the model and its runtime as one script; it runs in the page and in its workers.

    Raises
    ------
    TranslationError
        If the model uses something that has no translation.
    """
    strict = '"use strict";'
    parts = [
        *(_static(name) for name in _RUNTIME),
        loops(),
        *(_static(name) for name in _OUTSIDE),
        domains(),
        model_script(),
        *(_static(name) for name in _ASKING),
    ]
    return strict + "\n" + "\n".join(p.replace(strict, "", 1) for p in parts)


def _inline(script: str) -> str:
    """Make a script safe inside a script element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def page_html(machines: Sequence[Machine], *, draws: int = DRAWS, simulate: bool = True) -> str:
    """Return the page.

    The same input gives the same bytes: there is no date in it, and no order by chance.

    Parameters
    ----------
    machines : sequence of Machine
        Calibrated machines to choose from; the page begins with the first.
    draws : int
        Draws of each machine's constants that the intervals are over.
    simulate : bool
        Whether presets that the closed forms leave to other solvers are answered by those, here and
        now: seconds a machine.

    Raises
    ------
    InputError
        If there is no machine, or two have one name.
    TranslationError
        If the model uses something that has no translation to JavaScript.
    """
    carried = content(machines, draws=draws)
    carried["prepared"] = prepared(machines, draws) if simulate else []
    data = json.dumps(carried, allow_nan=False, separators=(",", ":"))
    view = "\n".join(_static(name).replace('"use strict";', "", 1) for name in _VIEW)
    parts = {
        "VERSION": html.escape(__version__),
        "STYLE": _static("page.css"),
        "DATA": data.replace("<", "\\u003c"),
        "MODEL": _inline(model_part()),
        "VIEW": _inline('"use strict";\n' + view),
    }
    # One pass: what is put in is not searched again.
    return re.sub(r"/\*([A-Z]+)\*/", lambda mark: parts[mark[1]], _static("page.html"))
