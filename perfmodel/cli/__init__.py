"""The command line: thin verbs over the package. ``main`` is the console script.

Nothing here imports numpy, sympy or matplotlib at module level: ``perfmodel --help`` must be quick.
"""

from __future__ import annotations

from perfmodel.cli.app import main

__all__ = ["main"]
