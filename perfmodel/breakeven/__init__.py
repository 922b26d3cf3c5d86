"""Where the verdict turns: the values of one parameter at which a downgrade begins or ceases to pay.

`sweeps` says what can be varied, `search` finds all sign changes of a function, `formula` gives the
closed forms, `find` puts them together and adds the intervals, `result` is the answer.
"""

from __future__ import annotations

from perfmodel.breakeven.find import break_even
from perfmodel.breakeven.formula import ClosedForm
from perfmodel.breakeven.result import BreakEven, Root
from perfmodel.breakeven.sweeps import PARAMETERS, WRITER_SHARE, swept_quantity

__all__ = [
    "PARAMETERS", "WRITER_SHARE", "BreakEven", "ClosedForm", "Root", "break_even", "swept_quantity",
]  # fmt: skip
