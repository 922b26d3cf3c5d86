"""What a simulation is told besides the lock: laws of the durations, and the kernel's corrections."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from perfmodel.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["KINDS", "PARTS", "USUAL", "Corrections", "Law"]

#: Durations that have a law, in the engine's order.
PARTS = ("fault_think", "read_hold", "io_time", "writer_think", "exclusive", "shared")

#: Kinds of law, in the engine's order.
KINDS = ("constant", "exponential", "lognormal", "empirical")


@dataclass(frozen=True, eq=False)
class Law:
    """Distribution of a duration around its mean; the mean is the lock's.

    Parameters
    ----------
    kind : {"constant", "exponential", "lognormal", "empirical"}
    cv : float
        Standard deviation over mean, for the lognormal.
    edges, shares : tuple of float
        For the empirical, see `from_histogram`.

    Raises
    ------
    InputError
        If the kind does not exist or its parameter is missing.
    """

    kind: Literal["constant", "exponential", "lognormal", "empirical"] = "constant"
    cv: float = math.nan
    edges: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"there is no law {self.kind!r}", field="holds",
                             expected="one of " + ", ".join(KINDS))  # fmt: skip
        if self.kind == "lognormal" and not 0 <= self.cv < math.inf:
            raise InputError("a lognormal law needs its cv", field="holds", expected="0 or more")
        if self.kind == "empirical" and not self.edges:
            raise InputError("an empirical law is made by Law.from_histogram", field="holds")

    @classmethod
    def from_histogram(cls, edges: ArrayLike, counts: ArrayLike) -> Law:
        """Return the law of a histogram, uniform within each bin, scaled to mean 1.

        Parameters
        ----------
        edges : array_like of shape (bins + 1,), ns
            Increasing, not negative.
        counts : array_like of shape (bins,)

        Raises
        ------
        InputError
            If it is no histogram of durations.
        """
        at, count = np.asarray(edges, dtype=float), np.asarray(counts, dtype=float)
        if at.ndim != 1 or count.shape != (at.size - 1,) or at.size < 2:
            raise InputError("a histogram has one more edge than counts", field="edges")
        if not (np.all(np.diff(at) > 0) and at[0] >= 0 and np.isfinite(at[-1])):
            raise InputError("the edges do not increase from 0 or more", field="edges")
        if not (np.all(count >= 0) and 0 < count.sum() < math.inf):
            raise InputError("the counts are not counts", field="counts")
        share = np.concatenate([[0.0], np.cumsum(count) / count.sum()])
        mean = float(np.sum(np.diff(share) * (at[1:] + at[:-1]) / 2))
        return cls("empirical", edges=tuple(at / mean), shares=tuple(share))


#: Laws that the closed forms assume.
USUAL = {part: Law("constant" if part in ("exclusive", "shared") else "exponential")
          for part in PARTS}  # fmt: skip


@dataclass(frozen=True)
class Corrections:
    """What the kernel does beyond the order of service; each can be switched by itself.

    With none of them but `wake` the simulation answers the question of the other solvers.

    Parameters
    ----------
    wake : bool
        A woken fault runs `wake_latency` and j `wake_serial` after the lock is granted to it, and
        the waker pays `wake_serial` for each.
    sleep : bool
        A queued caller sleeps, and the lock is free until it is back. Without it, and without
        `spin`, a caller runs at once.
    spin : bool
        A caller spins beside the queue and takes the lock first when it comes free; 10 us and
        half a us a reader (25 us at most) after it turns reader-owned it gives up and sleeps, and
        nobody spins until a caller has had the lock.
    steal : bool
        A newcomer takes a free lock past a caller on its way. Needs `sleep` or `spin` to matter.
    handoff : bool
        Nobody passes a waiter that has been first in line for longer than 4 ms of waiting.
    """

    wake: bool = True
    sleep: bool = False
    spin: bool = False
    steal: bool = False
    handoff: bool = False

    @classmethod
    def parse(cls, text: str) -> Corrections:
        """Read names separated by commas; ``none`` is the default, ``kernel`` all of them.

        Raises
        ------
        InputError
            If there is no such correction.
        """
        names = [f.name for f in fields(cls)]
        given = {word.strip() for word in text.split(",") if word.strip()}
        if given == {"kernel"}:
            given = set(names)
        given.discard("none")
        if unknown := given - set(names):
            raise InputError(f"there is no correction {sorted(unknown)[0]!r}", field="corrections",
                             expected="none, kernel, or some of " + ", ".join(names))  # fmt: skip
        return cls(**dict.fromkeys(given, True))

    def __str__(self) -> str:
        return ", ".join(f.name for f in fields(self) if getattr(self, f.name)) or "none"
