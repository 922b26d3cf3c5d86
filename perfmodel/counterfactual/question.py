"""From a configuration and the constants that were timed without it to the lock question of each arm.

What goes in besides the configuration is timed on an idle lock (`Constants`): the cost of locking, of
counting, of oversleeping, of waking. Nothing of it is taken from an arm, and nothing is fitted.

Two rules say which of the timed wake-ups a reader meets. They were fixed before the first grid was
measured:

* It finds an idle CPU if fewer threads than CPUs run when the lock is given up: all threads less the
  blocked ones. Then it pays the latency that was timed after a sleep as long as its own is predicted
  to be, and the waker pays for bringing the CPU out of its idle state. Otherwise it pays a switch.
* The waker's payment comes after the release where there is no downgrade, so it lengthens the pause
  between two calls; and before the shared part where there is one, so it lengthens that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.equations.account import ANY_WOKEN_FINITE
from perfmodel.errors import InputError
from perfmodel.rwlock.closed_form import solve
from perfmodel.rwlock.lock import Lock
from perfmodel.rwlock.simulated import Law

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.counterfactual.configuration import Configuration
    from perfmodel.counterfactual.document import Run

__all__ = ["Constants", "laws", "locks"]

#: Rounds in which blocked reads and the costs of waking them are made to agree.
_ROUNDS = 6

#: Two of a hundred are twenty times as long as the mean, as in calibration/bench/downgrade.c.
_TAIL_SHARE, _TAIL_TIMES = 0.02, 20.0
_BODY_TIMES = (1 - _TAIL_SHARE * _TAIL_TIMES) / (1 - _TAIL_SHARE)


@dataclass(frozen=True, eq=False)
class Constants:
    """What was timed without any arm; medians, ns.

    Parameters
    ----------
    read_pair, write_pair, write_downgrade_read : float
        Taking and giving up the lock, alone: for reading, for writing, and with a downgrade between.
    around_read, around_call : float
        What a thread does outside the lock beside thinking: drawing and counting.
    asked, oversleeping : ndarray of shape (naps,), ns
        Mean of an exponential nap, and by how much it lasts longer.
    asleep, latency : ndarray of shape (sleeps,), ns
        Time that a reader slept, and from the release until it runs on the other, idle CPU.
    kick : float
        What the waker pays to bring that CPU out of its sleep.
    serial : float
        What the waker pays for each reader.
    switch : float
        From the release until a reader runs on the waker's own CPU.
    """

    read_pair: float
    write_pair: float
    write_downgrade_read: float
    around_read: float
    around_call: float
    asked: NDArray[np.float64]
    oversleeping: NDArray[np.float64]
    asleep: NDArray[np.float64]
    latency: NDArray[np.float64]
    kick: float
    serial: float
    switch: float

    @classmethod
    def of(cls, run: Run) -> Constants:
        """Return the constants of a run: the medians, over both times that they were taken.

        Raises
        ------
        InputError
            If one is missing.
        """
        found: dict[tuple[str, float | None], list[float]] = {}
        for r in run.constants:
            if r.benchmark == "downgrade_constant" and r.median is not None:
                given = next(iter(r.conditions.values()), None)
                found.setdefault((r.operation, given), []).append(r.median)

        def one(name: str) -> float:
            if (name, None) not in found:
                raise InputError(f"{name} was not timed", file=run.file, field="constants")
            return float(np.median(found[name, None]))

        def curve(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            points = sorted(
                (at, float(np.median(v))) for (n, at), v in found.items()
                if n == name and at is not None
            )  # fmt: skip
            if not points:
                raise InputError(f"{name} was not timed", file=run.file, field="constants")
            table = np.array(points)
            return table[:, 0], table[:, 1]

        asked, oversleeping = curve("oversleeping")
        asleep, latency = curve("wake_idle")
        sleepers, waker = curve("wake_crowd_waker")
        # One wake-up after another costs the same; what the first costs more is the idle CPU's.
        serial, first = np.polyfit(sleepers, waker, 1)
        unlocking = one("write_pair") / 2
        return cls(
            read_pair=one("read_pair"), write_pair=one("write_pair"),
            write_downgrade_read=one("write_downgrade_read"),
            around_read=one("empty_read") - one("read_pair"),
            around_call=one("empty_call") - one("write_pair"),
            asked=asked, oversleeping=oversleeping, asleep=asleep, latency=latency,
            kick=max(float(first) - unlocking, 0.0), serial=max(float(serial), 0.0),
            switch=curve("wake_same_cpu")[1][0],
        )  # fmt: skip

    def overslept(self, mean_ns: float) -> float:
        """Return by how much a nap of this mean lasts longer, ns."""
        return float(np.interp(np.log(mean_ns), np.log(self.asked), self.oversleeping))

    def wake_latency(self, asleep_ns: float) -> float:
        """Return the latency after a sleep, less the waker's own time for the sleeper, ns."""
        at = np.log(max(asleep_ns, 1.0))
        whole = float(np.interp(at, np.log(self.asleep), self.latency))
        return max(whole - self.serial, 0.0)


def _histogram(pieces: tuple[tuple[float, float], ...]) -> Law:
    """Return the law of a mixture of exponentials, finely binned."""
    edges = np.concatenate([[0.0], np.geomspace(1e-3, 400.0, 400)])
    each = [share * np.exp(-edges / mean) for share, mean in pieces]
    survives = np.sum(each, axis=0)
    counts = -np.diff(survives)
    counts[-1] += survives[-1]
    return Law.from_histogram(edges, counts)


def _law(name: str) -> Law:
    if name == "heavy":
        return _histogram(((_TAIL_SHARE, _TAIL_TIMES), (1 - _TAIL_SHARE, _BODY_TIMES)))
    if name == "rare":
        narrow = np.array([1 - 1e-6, 1 + 1e-6])
        edges = np.concatenate([_BODY_TIMES * narrow, _TAIL_TIMES * narrow])
        return Law.from_histogram(edges, np.array([1 - _TAIL_SHARE, 0.0, _TAIL_SHARE]))
    return Law("exponential" if name == "exponential" else "constant")


def laws(configuration: Configuration) -> Mapping[str, Law]:
    """Return the laws that the threads really drew from, by part, for the simulation."""
    call = _law(configuration.call_law)
    return {"exclusive": call, "shared": call, "read_hold": _law(configuration.read_law)}


def _plain(
    configuration: Configuration, constants: Constants, cpus: int, *, downgraded: bool
) -> Lock:
    """Return the question of one arm, as if waking were free."""
    c, k = configuration, constants
    slept = c.think == "sleep"
    read_think = c.read_think_ns + k.around_read
    write_think = c.write_think_ns + k.around_call
    if slept:
        read_think += k.overslept(c.read_think_ns)
        write_think += k.overslept(c.write_think_ns)
    exclusive, shared = c.exclusive_ns + c.shared_ns + k.write_pair, 0.0
    if downgraded:
        # The one locked operation more; half of the three before the cut, half after it.
        exclusive = c.exclusive_ns + k.write_downgrade_read / 2
        shared = c.shared_ns + k.write_downgrade_read / 2
    threads = c.readers + c.writers
    return Lock(
        exclusive=np.array([float(exclusive)]), shared=np.array([float(shared)]),
        read_hold=float(c.read_ns + k.read_pair), fault_threads=c.readers,
        fault_think=float(read_think), writer_threads=c.writers, writer_think=float(write_think),
        readers_sleep=True, cpus=cpus if not slept and threads > cpus else None,
    )  # fmt: skip


def _woken(lock: Lock, constants: Constants, cpus: int, *, downgraded: bool) -> Lock:
    """Add what waking costs: it depends on how many wait and how long, and they on it."""
    k, threads = constants, (lock.fault_threads or 0) + lock.writer_threads
    asked = lock
    for _ in range(_ROUNDS):
        answer = solve(asked, levels=())
        blocked = float(answer.blocked[0])
        asleep = float(answer.blocked_time[0]) / blocked if blocked > 0 else 0.0
        # A thread that sleeps as it thinks does not run either: then a CPU is nearly always free.
        idle = lock.cpus is None or threads - blocked < cpus
        any_woken = float(
            ANY_WOKEN_FINITE(
                woken=min(blocked, lock.fault_threads or 0), fault_threads=lock.fault_threads
            )
        )
        pays = any_woken * k.kick if idle else 0.0
        asked = replace(
            lock, wake_latency=k.wake_latency(asleep) if idle else k.switch, wake_serial=k.serial,
            writer_think=lock.writer_think + (0.0 if downgraded else pays),
            shared=lock.shared + (pays if downgraded else 0.0),
        )  # fmt: skip
    return asked


def locks(configuration: Configuration, constants: Constants, cpus: int) -> tuple[Lock, Lock]:
    """Return the lock questions of both arms: without, with the downgrade.

    Parameters
    ----------
    configuration : Configuration
    constants : Constants
    cpus : int
        CPUs that the threads could use.
    """
    plain = [_plain(configuration, constants, cpus, downgraded=d) for d in (False, True)]
    without, with_it = (
        _woken(lock, constants, cpus, downgraded=d)
        for lock, d in zip(plain, (False, True), strict=True)
    )
    return without, with_it
