"""Colours of the explorer, those of the figures, each with a second channel beside the colour."""

from __future__ import annotations

from perfmodel.figures.style import BLUE, GREEN, PURPLE, VERMILLION

__all__ = ["CURVE", "GHOST", "GHOST_LINES", "GHOST_MARKERS", "MODES", "POINT", "TERMS"]

#: Colour, hatch and words of a lock mode.
MODES = {
    "outside": ("#DDDDDD", "", "outside the lock"),
    "exclusive": (VERMILLION, "", "write lock"),
    "shared": (BLUE, "///", "read lock"),
}

CURVE, POINT = BLUE, VERMILLION

#: Pinned scenarios: one grey, told apart by line and marker.
GHOST = "#555555"
GHOST_LINES = ("--", "-.", ":")
GHOST_MARKERS = ("s", "^", "D")

#: Colour, hatch and words of a term of the account, in the order of the bar.
TERMS = {
    "caller_time": ("#BBBBBB", "", "the call itself"),
    "blocked_time": (VERMILLION, "", "faults blocked"),
    "wake_time": (PURPLE, "...", "woken, not yet running"),
    "waker_time": (BLUE, "///", "caller wakes them"),
    "line_time": (GREEN, "xxx", "the lock's cache line"),
    "guard_time": ("#000000", "", "guard"),
}
