"""The browser's address follows the scenario, so that it can be copied, reloaded and shared."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

__all__ = ["Address"]

_SCRIPT = Path(__file__).resolve().parent / "static" / "address.js"


class Address(anywidget.AnyWidget):
    """Writes `query` into the address of the page, without a new entry in its history."""

    _esm = _SCRIPT.read_text(encoding="utf-8")

    query = traitlets.Unicode().tag(sync=True)
