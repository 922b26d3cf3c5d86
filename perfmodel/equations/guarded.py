r"""What the other guards cost a cut: a mark, a flush for each page table, a generation.

The check for pending flushes is in :mod:`perfmodel.equations.guard`. Here a call with a cut holds the
lock for reading for a time *R*; it lets in the *m* faults that it had blocked and those that come while
it goes on, :math:`\lambda_r R`. Of them a share :math:`k_q` hits entries of the call, and a share *w*
writes to a present, read-only page.

*A mark in the entry.* A fault that meets it while a flush is pending goes back and tries again: to it the
cut is no use. Those let in at the cut wait for all of *R*, those that come during it for half of it on
average. Whoever meets a mark later, at most once an entry, reads the count of pending flushes to know
that it is old.

*A flush before the page-table lock of each table is dropped.* The flushes themselves are pieces of the
call (:mod:`perfmodel.hold`). Besides, a fault on a table whose flush is under way spins on its lock. Each
of the :math:`n_t` tables is flushed for a time :math:`F_t` and hit by the :math:`n_t`-th part of the
faults: together :math:`k_q \lambda_r F_t^2/2`, and those let in at the cut come as if at random in *R*.

*A generation of each page table.* The walk counts it up once a table; a fault that must copy reads it
before and after. It is thrown back where the walk of its table falls between, that is within
:math:`T_w/n_t` and its own hold of *R*.
"""

from __future__ import annotations

from sympy import Min, Piecewise

from perfmodel.equations.equation import declare
from perfmodel.equations.symbols import symbol

__all__ = ["GENERATION_TIME", "MARK_TIME", "TABLE_WAIT"]

_SOURCE = "derivation in perfmodel.equations.guarded; mails of 22 and 23 Dec 2020 name the guards"
_m, _R, _lr, _lw = symbol("woken"), symbol("shared"), symbol("lambda_r"), symbol("lambda_w")
_w, _kq, _hit = symbol("wp_share"), symbol("on_call"), symbol("load_hit")
_tables, _flush, _walk = symbol("tables"), symbol("table_flush"), symbol("shared_walk")
_hold = symbol("fault_hold")
_UPPER = "faults on one page table meet nobody else there: no crowd at its lock"

MARK_TIME = declare(
    "mark_time", "T_m", "ns", "thread time that a mark in the entry costs, a call",
    _w * _kq * (_m * _R + _lr * _R**2 / 2)
    + Min(symbol("entries"), _w * _kq * _lr / _lw) * symbol("load"), source=_SOURCE,
    assumptions=("faults come at random in the shared part", "an entry's mark is met at most once",
                 "to go back and try again costs what to be blocked does"),
    valid="lambda_w > 0",
)  # fmt: skip
TABLE_WAIT = declare(
    "table_wait", "T_p", "ns", "time that faults spin on a page-table lock held for a flush, a call",
    Piecewise((_kq * _flush**2 / 2 * (_lr + _m / _R), _R > 0), (0, True)), source=_SOURCE,
    assumptions=("faults come at random in the shared part", _UPPER),
)  # fmt: skip
GENERATION_TIME = declare(
    "generation_time", "T_n", "ns", "thread time that a generation of each page table costs, a call",
    _tables * _hit + 2 * _hit * _w * _lr / _lw
    + Piecewise(
        (_w * _kq * (_lr + _m / _R) * (_walk / _tables + _hold) * _hold, (_walk > 0) & (_R > 0)),
        (0, True),
    ), source=_SOURCE,
    assumptions=("the generation lies beside the page-table lock: who has the lock has it",
                 "a fault that is thrown back has lost its whole hold"),
    valid="lambda_w > 0",
)  # fmt: skip
