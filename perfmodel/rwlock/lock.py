"""The question that every solver answers, and the answer that every solver gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.region import Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DISCIPLINES", "LEVELS", "Answer", "Lock"]

#: Quantiles of the wait that are given unless others are asked for.
LEVELS = (0.5, 0.9, 0.99)

#: Orders of service: the kernel's, first come first served, and two textbook ones that only the
#: chain and the simulation answer.
DISCIPLINES = ("rwsem", "fifo", "reader_preference", "writer_preference")


@dataclass(frozen=True, eq=False)
class Lock:
    """Who asks for the lock, how often, and for how long.

    Parameters
    ----------
    exclusive, shared : ndarray of shape (draws,), ns
        Write hold and the read tail after a downgrade, of one section.
    sections : int
        Sections of one call: each takes the lock anew.
    read_hold : ndarray or float, ns
        How long a fault holds the lock for reading, I/O apart.
    fault_threads, fault_think : int, float, optional
        Closed population: threads and mean think time, ns.
    fault_rate : float, optional
        Open stream: faults per ns.
    affected : float
        Share of the faults that need the lock, or wait as long as it is held for writing.
    io_share, io_time : float
        Share of the faults that hold the lock for I/O besides, and its mean time, ns.
    writer_threads, writer_think : int, ndarray or float
        Closed population of callers; think time is all the time between two calls outside the
        lock, ns.
    writer_rate : float, optional
        Open stream of calls per ns; replaces the population.
    wake_latency, wake_serial : ndarray or float, ns
        Delay of a woken sleeper, and what the waker pays for each.
    readers_sleep : bool
        Whether a blocked fault sleeps (5.11 on) and does not spin.
    cpus : int, optional
        CPUs that all threads which are not blocked share, callers included; a thread that thinks
        runs. None: one for each.
    discipline : str
        One of `DISCIPLINES`.
    """

    exclusive: NDArray[np.float64]
    shared: NDArray[np.float64]
    read_hold: Any
    sections: int = 1
    fault_threads: int | None = None
    fault_think: float = math.nan
    fault_rate: float | None = None
    affected: float = 1.0
    io_share: float = 0.0
    io_time: float = 0.0
    writer_threads: int = 1
    writer_think: Any = 0.0
    writer_rate: float | None = None
    wake_latency: Any = 0.0
    wake_serial: Any = 0.0
    readers_sleep: bool = True
    cpus: int | None = None
    discipline: str = "rwsem"

    def __post_init__(self) -> None:
        if (self.fault_rate is None) == (self.fault_threads is None):
            raise InputError("the faults are either a rate or a number of threads", field="faults")
        if self.discipline not in DISCIPLINES:
            raise InputError(
                f"there is no discipline {self.discipline!r}",
                field="discipline",
                expected="one of " + ", ".join(DISCIPLINES),
            )
        if self.cpus is not None and self.cpus < 1:
            raise InputError(f"{self.cpus} CPUs", field="cpus", expected="at least 1")


@dataclass(frozen=True, eq=False)
class Answer:
    """Steady state of a lock; arrays have the shape of the lock's holds.

    Parameters
    ----------
    acquire : ndarray, ns
        Mean wait of the caller for the lock, over all sections of a call.
    blocked : ndarray
        Faults that one call blocks.
    blocked_time : ndarray, ns
        Their total blocked time until the lock is granted.
    wake_time : ndarray, ns
        Their total delay from the grant until they run.
    wait_mean : ndarray, ns
        Mean wait of all faults, affected or not, wake-up included.
    wait_quantiles : mapping of float to ndarray, ns
        Quantiles of the same; 0 where fewer faults are blocked.
    blocked_share : ndarray
        Share of all faults that are blocked.
    fault_rate, call_rate : ndarray, per ns
        Throughput of faults and of calls.
    solver : str
        Who answered.
    stated_error : str
        What is known of the answer's error.
    region : Region
        Conditions of the stated error, with a flag per point.
    """

    acquire: NDArray[np.float64]
    blocked: NDArray[np.float64]
    blocked_time: NDArray[np.float64]
    wake_time: NDArray[np.float64]
    wait_mean: NDArray[np.float64]
    wait_quantiles: Mapping[float, NDArray[np.float64]]
    blocked_share: NDArray[np.float64]
    fault_rate: NDArray[np.float64]
    call_rate: NDArray[np.float64]
    solver: str
    stated_error: str
    region: Region = field(default_factory=Region)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where the stated error was checked, one flag per point."""
        return np.asarray(np.broadcast_to(self.region.valid, np.shape(self.wait_mean)))

    @property
    def broken(self) -> tuple[str, ...]:
        """Conditions of the stated error that do not hold at the first point, the central one."""
        return self.region.broken((0,) * np.ndim(self.wait_mean))
