"""The queueing question alone: one lock specification and its solvers."""

from perfmodel.rwlock.closed_form import solve
from perfmodel.rwlock.lock import Answer, Lock
from perfmodel.rwlock.terms import any_woken

__all__ = ["Answer", "Lock", "any_woken", "solve"]
