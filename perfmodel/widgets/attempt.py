"""Run what a control asks for, and tell what was wrong with it."""

from __future__ import annotations

from collections.abc import Callable

from perfmodel.errors import PerfmodelError

__all__ = ["attempt"]


def attempt(act: Callable[[], object], failed: Callable[[str], None]) -> bool:
    """Act; errors of the user's making end in the alert line.

    The alert is cleared first and not afterwards: what the act itself says there is to stay.

    Parameters
    ----------
    act : callable
    failed : callable
        Told what went wrong, or the empty string.

    Returns
    -------
    bool
        Whether it was accepted.
    """
    failed("")
    try:
        act()
    except PerfmodelError as error:
        failed(str(error))
        return False
    return True
