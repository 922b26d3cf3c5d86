"""What the slices say: rates and waits of each arm, and the effect of the downgrade with its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.counterfactual.slices import Record

__all__ = ["Effect", "Measured", "measured", "quiet_pairs"]

#: Standard errors beyond which an effect is told from noise, of a normal law; few pairs need more.
BEYOND = 2.0

#: A slice is disturbed if others (tasks, interrupts, the hypervisor) took more of the CPUs than this.
DISTURBED = 0.10

#: What a thread may wait for a CPU after a sleep without anybody else wanting it, ns: the CPU must
#: come out of its idle state, for which a guest needs its hypervisor.
_WAKING = 50_000.0

#: Undisturbed pairs without which a configuration says nothing.
FEWEST_PAIRS = 6


@dataclass(frozen=True)
class Effect:
    """A number and its standard error, from the pairs of slices.

    Parameters
    ----------
    value, error : float
    pairs : int
    """

    value: float
    error: float
    pairs: int

    @property
    def noise(self) -> float:
        """Largest size that noise explains: `BEYOND` errors, more by Student's law for few pairs."""
        from scipy.special import ndtr, stdtrit

        return self.error * max(BEYOND, float(stdtrit(self.pairs - 1, ndtr(BEYOND))))

    @property
    def significant(self) -> bool:
        """Whether it exceeds its own noise."""
        return abs(self.value) > self.noise


@dataclass(frozen=True)
class Measured:
    """One configuration as it was measured; pairs of numbers are without, with the downgrade.

    Parameters
    ----------
    reads_per_s, calls_per_s : tuple of float
    blocked_share : tuple of float
        Share of the reads that went through the list of waiters.
    wait_ns : tuple of float
        Mean wait of all reads, from the failed attempt until they run.
    call_ns, call_wait_ns : tuple of float
        From asking for the lock to having given it up; wait of that.
    throughput : Effect
        Relative change of the reads a second by the downgrade.
    wait : Effect
        Change of the mean wait, ns.
    calls : Effect
        Relative change of the calls a second.
    pairs, left_out : int
        Pairs of slices that count, and those left out since others took the CPUs meanwhile. Both
        slices of a pair go by one rule that does not look at what was counted in them.
    disturbed : bool
        Whether too few pairs were quiet: then all of them are taken, and the effects mean little.
    reads, late : int
        Reads behind it, and calls that began in one arm and ended in the other: counted nowhere.
    """

    reads_per_s: tuple[float, float]
    calls_per_s: tuple[float, float]
    blocked_share: tuple[float, float]
    wait_ns: tuple[float, float]
    call_ns: tuple[float, float]
    call_wait_ns: tuple[float, float]
    throughput: Effect
    wait: Effect
    calls: Effect
    pairs: int
    left_out: int
    disturbed: bool
    reads: int
    late: int


def _ratios(
    above: NDArray[np.float64], below: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ratio of the sums of each arm, and the same without each pair in turn."""
    with np.errstate(all="ignore"):
        whole = above.sum(axis=0) / below.sum(axis=0)
        without = (above.sum(axis=0) - above) / (below.sum(axis=0) - below)
    return whole, without


def _effect(
    above: NDArray[np.float64], below: NDArray[np.float64], *, relative: bool
) -> tuple[tuple[float, float], Effect]:
    """Return both arms' ratio of sums, and their difference with its error by the jackknife.

    The pairs are left out whole: noise that both slices of a pair met cancels in the difference.
    """
    whole, without = _ratios(above, below)

    def difference(both: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(all="ignore"):
            change = both[..., 1] / both[..., 0] - 1.0 if relative else both[..., 1] - both[..., 0]
        return np.asarray(change)

    each = difference(without)
    n = each.size
    error = float(np.sqrt((n - 1) / n * np.sum((each - each.mean()) ** 2)))
    return (float(whole[0]), float(whole[1])), Effect(float(difference(whole)), error, n)


def quiet_pairs(record: Record, disturbed_above: float = DISTURBED) -> NDArray[np.bool_]:
    """Say of each pair whether others left both of its slices alone, shape (pairs,).

    Two bounds on what others took: the CPU time that was neither ours nor idle; and the time that our
    threads were ready and had no CPU, less `_WAKING` for every sleep. The smaller one counts. Where
    the machine tells neither, every pair counts.

    Parameters
    ----------
    record : Record
    disturbed_above : float
        Share of the CPUs' time that others may take.
    """
    told = record.conditions
    ns = record.column("ns")
    bounds = []
    if told.idle_known:
        bounds.append(told.cpus * ns - record.column("own_cpu_ns") - record.column("idle_ns"))
    if told.delay_known:
        bounds.append(record.column("delay_ns") - _WAKING * record.column("slept"))
    if not bounds:
        return np.ones(len(ns), dtype=bool)
    taken = np.min(bounds, axis=0) / (told.cpus * ns)
    return np.asarray((taken <= disturbed_above).all(axis=1))


def measured(record: Record, *, disturbed_above: float = DISTURBED) -> Measured:
    """Reduce the slices of one configuration.

    Parameters
    ----------
    record : Record
    disturbed_above : float
        Share of the CPUs' time that others may take in a slice that counts.

    Returns
    -------
    Measured
        NaN where an arm has no reads or no calls.
    """
    got = {name: record.column(name) for name in record.columns}
    quiet = quiet_pairs(record, disturbed_above)
    disturbed = int(quiet.sum()) < min(FEWEST_PAIRS, quiet.size)
    if not disturbed:
        got = {name: values[quiet] for name, values in got.items()}
    reads, throughput = _effect(got["reads"], got["ns"], relative=True)
    calls, call_change = _effect(got["calls"], got["ns"], relative=True)
    wait, wait_change = _effect(got["read_wait_ns"], got["reads"], relative=False)
    blocked, _ = _effect(got["reads_blocked"], got["reads"], relative=False)
    call, _ = _effect(got["call_ns"], got["calls"], relative=False)
    call_wait, _ = _effect(got["call_wait_ns"], got["calls"], relative=False)
    return Measured(
        reads_per_s=(1e9 * reads[0], 1e9 * reads[1]),
        calls_per_s=(1e9 * calls[0], 1e9 * calls[1]),
        blocked_share=blocked, wait_ns=wait, call_ns=call, call_wait_ns=call_wait,
        throughput=throughput, wait=wait_change, calls=call_change, pairs=len(got["ns"]),
        left_out=quiet.size - len(got["ns"]), disturbed=disturbed,
        reads=int(got["reads"].sum()), late=int(got["calls_late"].sum()),
    )  # fmt: skip
