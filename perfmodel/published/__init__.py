"""Published figures beside the model: what others measured, and what the model says to it.

The figures stand in ``calibration/data/published.yaml``. Reading them needs the ``published`` extra
(PyYAML); nothing else of the kit does.
"""

from __future__ import annotations

from perfmodel.published.figures import Published, load_published

__all__ = ["Published", "load_published"]
