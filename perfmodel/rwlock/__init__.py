"""The queueing question alone: one lock specification and its solvers."""

from perfmodel.rwlock.closed_form import any_woken, solve
from perfmodel.rwlock.lock import Answer, Lock

__all__ = ["Answer", "Lock", "any_woken", "solve"]
