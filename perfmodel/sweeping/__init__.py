"""Sweeps: every prediction over a grid of parameters, as labelled arrays, in memory or on disk."""

from __future__ import annotations

from perfmodel.sweeping.api import sweep, write_sweep

__all__ = ["sweep", "write_sweep"]
