"""What a parameter is called beside its control, in a notebook and on a page."""

from __future__ import annotations

from perfmodel.quantities import Quantity

__all__ = ["label"]

_WORDS = {"vma": "VMA", "vmas": "VMAs", "io": "I/O", "cpus": "CPUs", "wp": "write-protect"}
_UNITS = {"us": "µs", "pages": "", "1": ""}


def label(declared: Quantity) -> str:
    """Return a parameter's name for a person, with its unit."""
    stem = declared.name.removesuffix(f"_{declared.unit}")
    words = " ".join(_WORDS.get(w, w) for w in stem.split("_"))
    unit = _UNITS.get(declared.unit, declared.unit)
    return f"{words} ({unit})" if unit else words
