"""Where an answer's stated error was checked: conditions in words, each with a flag per point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Region"]


@dataclass(frozen=True)
class Region:
    """Where an approximation was checked.

    Parameters
    ----------
    conditions : mapping of str to ndarray of bool
        Each condition in words, and where it is met. The arrays broadcast against the results; one
        without dimensions speaks of all points alike.
    """

    conditions: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @classmethod
    def nowhere(cls, conditions: Iterable[str]) -> Self:
        """Return the region of conditions that hold at no point."""
        return cls({text: np.array(False) for text in conditions})

    def also(self, conditions: Mapping[str, Any]) -> Self:
        """Return the region narrowed by further conditions."""
        new = {text: np.asarray(met, dtype=bool) for text, met in conditions.items()}
        old = self.conditions
        return type(self)(
            {**old, **{text: met & old[text] if text in old else met for text, met in new.items()}}
        )

    def __and__(self, other: Self) -> Self:
        """Return the region in which the conditions of both hold."""
        return self.also(other.conditions)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where every condition is met."""
        met = np.array(True)
        for one in self.conditions.values():
            met = met & one
        return np.asarray(met, dtype=bool)

    def broken(self, index: Any = ()) -> tuple[str, ...]:
        """Return the conditions that are not met at one point."""
        return tuple(
            text
            for text, met in self.conditions.items()
            if not (met[index] if np.ndim(met) else bool(met))
        )
