"""From operations per second to the time of one task for one operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from perfmodel.observations import Moments
from perfmodel.readers.reading import moments

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Operations a second that a measurement can have.
_SLOWEST, _FASTEST = 1e-6, 1e15
_MOST_TASKS = 1e7

__all__ = ["cost", "is_page_fault_test", "testcase_operation"]


def cost(per_second: float | Sequence[float], tasks: float = 1.0) -> Moments | str:
    """Return the cost of one operation, or why there is none.

    Parameters
    ----------
    per_second : float or sequence of float
        Operations per second of all tasks together; one value a run or sample.
    tasks : float
        How many tasks made them.

    Returns
    -------
    Moments or str
        The mean is 1e9 · tasks / (mean rate), ns: the time over the operations, not the mean of the
        samples' costs, which gives slow samples too much weight.
    """
    rates = np.atleast_1d(np.asarray(per_second, dtype=float))
    if not rates.size:
        return "no rate"
    strange = rates[~((rates > _SLOWEST) & (rates < _FASTEST))]
    if strange.size:
        return f"{float(strange[0]):g} operations a second have no cost of one operation"
    if not 0 < tasks < _MOST_TASKS:
        return f"{tasks:g} tasks are none, or too many"
    mean = 1e9 * tasks / float(rates.mean())
    if rates.size == 1:
        return moments(1, mean)
    each = 1e9 * tasks / rates
    return moments(rates.size, mean, float(each.min()), float(each.max()), float(each.std(ddof=1)))


def is_page_fault_test(testcase: str) -> bool:
    """Whether one operation of a will-it-scale test is one page fault."""
    return testcase in ("page_fault1", "page_fault2", "page_fault3")


def testcase_operation(testcase: str) -> tuple[str, dict[str, int]]:
    """Return the operation of a will-it-scale test and its conditions.

    The page_fault tests count faults, each of one page. One iteration of mmap1, brk1, tlb_flush1 and
    the like is several calls: those stay unknown.
    """
    return ("page_fault", {"pages_per_op": 1}) if is_page_fault_test(testcase) else ("unknown", {})
