"""A scenario and its view as text, and back: Python, a command line, JSON, a link.

Nothing of a text is ever run: Python is read as literals, a line by the declarations of the command's
own options. A text names its machine; a file of that name is not opened.
"""

from __future__ import annotations

from perfmodel.errors import InputError
from perfmodel.widgets.shown import Exploration
from perfmodel.widgets.travel.command import from_command, is_command, to_command
from perfmodel.widgets.travel.document import from_document, to_document
from perfmodel.widgets.travel.machines import Machines, shipped
from perfmodel.widgets.travel.python import from_python, to_python
from perfmodel.widgets.travel.query import from_query, to_query

__all__ = [
    "FORMS", "Machines", "from_command", "from_document", "from_python", "from_query", "read",
    "shipped", "to_command", "to_document", "to_python", "to_query",
]  # fmt: skip

#: How a scenario can be written, by the name on the menu. A link and JSON carry the whole view.
FORMS = {"Python": to_python, "command line": to_command, "JSON": to_document, "link": to_query}

#: Characters beyond which a text is no scenario of ours.
LONGEST = 100_000


def read(text: str, machines: Machines = shipped) -> Exploration:
    """Return what a text says, whatever form it is in.

    Parameters
    ----------
    text : str
        What `to_python`, `to_command`, `to_document` or `to_query` gave, perhaps changed by hand.
    machines : callable
        Name to `Machine`; raises `InputError` for one that is not known.

    Raises
    ------
    InputError
        If it is in no such form, or wrong in it.
    """
    if len(text) > LONGEST:
        raise InputError(f"the text has {len(text)} characters", expected=f"at most {LONGEST}")
    bare = text.strip()
    if bare.startswith("{"):
        return from_document(bare, machines)
    if is_command(bare):
        return from_command(bare, machines)
    if "Scenario(" in bare:
        return from_python(text, machines)
    if "=" in bare and len(bare.split()) == 1:
        return from_query(bare, machines)
    raise InputError(
        "this is in none of the forms a scenario travels in",
        expected="Python with a Scenario(...), a line that begins with perfmodel, JSON, or a link",
    )
