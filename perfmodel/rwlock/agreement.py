"""Do the solvers agree? A fixed grid of lock questions, and how far apart the answers are.

The grid covers load, mix, length of the shared tail, population and discipline. What the simulation
and the chain say on it is kept as data (``calibration/agreement/certified.csv``), made by
``calibration/agreement/certify.py``. The closed forms are held against it whenever the tests run, and the
map of their errors is drawn from it.

Times of the grid are ns. They are spread over decades by a scrambled Sobol sequence with a fixed
seed, so the same questions come out on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.rwlock.closed_form import solve
from perfmodel.rwlock.lock import LEVELS, Answer, Lock

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MEANS", "QUANTILES", "Question", "closed_form_errors", "error_map", "exponential", "questions",
]  # fmt: skip

#: Means that are compared, as an answer names them.
MEANS = ("wait_mean", "blocked_share", "blocked_time", "acquire", "fault_rate", "call_rate")

#: Columns of the quantiles of the wait.
QUANTILES = {f"p{100 * level:g}": level for level in LEVELS}

_SEED = 20201222  # the day of the founding mail

#: A relative error says nothing where next to nobody waits: shares and waits below these are left out.
_FEWEST_BLOCKED = 1e-5


@dataclass(frozen=True, eq=False)
class Question:
    """One lock question of the grid.

    Parameters
    ----------
    group : str
        Which population and discipline it stands for.
    number : int
        Within its group.
    lock : Lock
        One draw.
    """

    group: str
    number: int
    lock: Lock

    @property
    def name(self) -> str:
        """Group and number."""
        return f"{self.group}-{self.number:03d}"


def _lock(**given: Any) -> Lock:
    given = {"shared": 0.0, "read_hold": 500.0, "readers_sleep": False} | given
    for name in ("exclusive", "shared"):
        given[name] = np.array([float(given[name])])
    return Lock(**given)


def _log(u: float, low: float, high: float) -> float:
    return float(low * (high / low) ** u)


def _threads(u: float) -> int:
    return round(_log(u, 1, 64))


def _closed(u: np.ndarray, **more: Any) -> Lock:
    """Make a closed population of faults and callers; every other question has a shared tail."""
    given = {
        "fault_threads": _threads(u[0]), "fault_think": _log(u[1], 5e3, 3e5),
        "read_hold": _log(u[2], 200, 3000), "writer_think": _log(u[3], 5e3, 1e6),
        "exclusive": _log(u[4], 100, 2e5), "shared": _log(2 * u[5] - 1, 100, 2e5) if u[5] > 0.5 else 0,
    }  # fmt: skip
    return _lock(**given | more)


def _one_caller(u: np.ndarray) -> Lock:
    return _closed(u)


def _one_caller_sleeping(u: np.ndarray) -> Lock:
    return _closed(
        u, readers_sleep=True, wake_latency=_log(u[6], 2e3, 5e4), wake_serial=500.0 * round(u[7])
    )


def _several_callers(u: np.ndarray) -> Lock:
    return _closed(u, fault_threads=1 + int(12 * u[0]), writer_threads=2 + int(3 * u[6]))


def _several_callers_fifo(u: np.ndarray) -> Lock:
    return replace(_several_callers(u), fault_threads=1 + int(5 * u[0]), discipline="fifo")


def _reader_preference(u: np.ndarray) -> Lock:
    return replace(_several_callers(u), discipline="reader_preference")


def _writer_preference(u: np.ndarray) -> Lock:
    return replace(_several_callers(u), discipline="writer_preference")


def _partly_affected(u: np.ndarray) -> Lock:
    return _closed(u, affected=0.05 + 0.9 * u[6])


def _several_sections(u: np.ndarray) -> Lock:
    return _closed(u, sections=2 + int(6 * u[6]))


def _few_cpus(u: np.ndarray) -> Lock:
    lock = _closed(u, fault_threads=2 + int(30 * u[0]))
    threads = (lock.fault_threads or 0) + 1
    return replace(lock, cpus=max(1, int(threads * (0.1 + 0.85 * u[6]))))


def _open(u: np.ndarray, **more: Any) -> Lock:
    given = {
        "fault_rate": _log(u[0], 1e-6, 2e-2), "read_hold": _log(u[1], 200, 3000),
        "exclusive": _log(u[2], 100, 5e4), "shared": _log(2 * u[3] - 1, 100, 5e4) if u[3] > 0.5 else 0,
    }  # fmt: skip
    return _lock(**given | more)


def _open_faults(u: np.ndarray) -> Lock:
    return _open(u, writer_think=_log(u[4], 2e4, 2e6))


def _open_faults_sleeping(u: np.ndarray) -> Lock:
    return _open(
        u, writer_think=_log(u[4], 1e5, 2e6), readers_sleep=True,
        wake_latency=_log(u[5], 2e3, 5e4), wake_serial=500.0 * round(u[6]),
    )  # fmt: skip


def _open_faults_io(u: np.ndarray) -> Lock:
    return _open(
        u, fault_rate=_log(u[0], 1e-6, 2e-3), writer_think=_log(u[4], 1e5, 5e6),
        io_share=_log(u[5], 1e-4, 2e-2), io_time=_log(u[6], 1e4, 1e6),
    )  # fmt: skip


def _loaded(u: np.ndarray, discipline: str) -> Lock:
    """Make a queue of faults and calls at a load, in the kernel's sense, from 0.01 to 0.9."""
    lock = _open(u)
    load = _log(u[4], 0.01, 0.9)
    hold = float(lock.exclusive[0] + lock.shared[0])
    return replace(lock, writer_rate=load / hold, discipline=discipline)


def _open_rwsem(u: np.ndarray) -> Lock:
    return _loaded(u, "rwsem")


def _open_fifo(u: np.ndarray) -> Lock:
    from perfmodel.equations.queue import capacity

    lock = _loaded(u, "fifo")
    hold = {"exclusive": lock.exclusive[0], "shared": lock.shared[0]}
    faults = {"lambda_r": lock.fault_rate, "mu": 1.0 / lock.read_hold}
    # First come, first served drains the readers before every call: the load is another one.
    low, high, load = 0.0, float(lock.writer_rate or 0.0), _log(u[4], 0.01, 0.9)
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = float(capacity(lambda_w=middle, **faults, **hold)) > load
        low, high = (low, middle) if above else (middle, high)
    return replace(lock, writer_rate=0.5 * (low + high))


#: Population and discipline, how many questions, and what the numbers of the sequence become.
_GROUPS: Mapping[str, tuple[int, Callable[[np.ndarray], Lock]]] = {
    "one-caller": (112, _one_caller),
    "one-caller-sleeping": (112, _one_caller_sleeping),
    "several-callers": (80, _several_callers),
    "several-callers-fifo": (24, _several_callers_fifo),
    "reader-preference": (24, _reader_preference),
    "writer-preference": (24, _writer_preference),
    "partly-affected": (32, _partly_affected),
    "several-sections": (24, _several_sections),
    "few-cpus": (48, _few_cpus),
    "open-faults": (48, _open_faults),
    "open-faults-sleeping": (48, _open_faults_sleeping),
    "open-faults-io": (32, _open_faults_io),
    "open-queue": (80, _open_rwsem),
    "open-queue-fifo": (48, _open_fifo),
}


def questions() -> tuple[Question, ...]:
    """Return the questions of the grid, always the same."""
    from scipy.stats import qmc

    found = []
    for place, (group, (count, make)) in enumerate(_GROUPS.items()):
        sequence = qmc.Sobol(8, seed=_SEED + place)
        rows = sequence.random_base2(math.ceil(math.log2(count)))[:count]
        found += [Question(group, i, make(row)) for i, row in enumerate(rows)]
    return tuple(found)


def exponential(lock: Lock) -> bool:
    """Whether the chain of exponential holds answers the very question of the simulation's."""
    return (
        lock.fault_threads is not None and lock.writer_rate is None and lock.io_share == 0
        and lock.affected == 1 and lock.sections == 1 and not lock.readers_sleep
    )  # fmt: skip


def _numbers(answer: Answer) -> dict[str, float]:
    found = {name: float(getattr(answer, name).reshape(-1)[0]) for name in MEANS}
    for column, level in QUANTILES.items():
        found[column] = float(np.reshape(answer.wait_quantiles[level], -1)[0])
    return found


def closed_form_errors(certified: pd.DataFrame, asked: Iterable[Question]) -> pd.DataFrame:
    """Hold the closed forms against the simulation of the same constant holds.

    Parameters
    ----------
    certified : DataFrame
        A row a question, by its name: ``constant_MEAN`` and ``constant_MEAN_se`` for every mean and
        quantile.
    asked : iterable of Question
        Those of a discipline that no closed form knows are left out.

    Returns
    -------
    DataFrame
        A row a question and quantity: ``question``, ``group``, ``quantity``, ``valid``, ``closed``,
        ``simulated``, ``error`` (relative; NaN where next to nobody waits) and ``noise``, the relative
        standard error of the simulation.
    """
    import pandas as pd

    rows = []
    for question in asked:
        if question.lock.discipline not in ("rwsem", "fifo"):
            continue
        answer = solve(question.lock)
        truth = certified.loc[question.name]
        waits = truth["constant_blocked_share"] > _FEWEST_BLOCKED
        for name, value in _numbers(answer).items():
            simulated = float(truth[f"constant_{name}"])
            some = simulated > 0 and (waits or name in ("acquire", "fault_rate", "call_rate"))
            rows.append(
                {
                    "question": question.name, "group": question.group, "quantity": name,
                    "valid": bool(answer.valid[0]), "closed": value, "simulated": simulated,
                    "error": value / simulated - 1.0 if some else math.nan,
                    "noise": float(truth[f"constant_{name}_se"]) / simulated if some else math.nan,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def error_map(errors: pd.DataFrame) -> pd.DataFrame:
    """Return median, 95 % and largest error of each group and quantity, inside and outside.

    Parameters
    ----------
    errors : DataFrame
        What `closed_form_errors` gives.

    Returns
    -------
    DataFrame
        Columns ``group``, ``quantity``, ``valid``, ``points``, ``p50``, ``p95``, ``max``: of the sizes of
        the relative errors; ``noise``: the median of the simulations' relative standard errors.
    """
    known = errors[errors.error.notna()]
    size = known.assign(size=known.error.abs())
    table = size.groupby(["group", "quantity", "valid"], sort=False).agg(
        points=("size", "count"), p50=("size", "median"),
        p95=("size", lambda s: s.quantile(0.95)), max=("size", "max"), noise=("noise", "median"),
    )  # fmt: skip
    return table.reset_index()
