"""Which machines a text may name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from perfmodel.errors import InputError
from perfmodel.machine import Machine, shipped_profiles

__all__ = ["Machines", "shipped"]

#: Name to machine; raises `InputError` for a name that is not known.
Machines = Callable[[str], Machine]


@cache
def shipped(name: str) -> Machine:
    """Return the shipped profile `name`, and nothing else: a text from elsewhere opens no file.

    One name is one object: machines are told apart by identity.

    Raises
    ------
    InputError
        If there is none.
    """
    profiles = shipped_profiles()
    if name not in profiles:
        raise InputError(f"there is no profile {name!r}", field="machine",
                         expected="one of " + ", ".join(profiles))  # fmt: skip
    return Machine.load(profiles[name])
