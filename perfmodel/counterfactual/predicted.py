"""What the models say of each configuration, and the file in which it is kept beside a run."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.counterfactual.question import Constants, laws, locks
from perfmodel.errors import InputError
from perfmodel.rwlock.fallback import answer_all

if TYPE_CHECKING:
    from perfmodel.counterfactual.configuration import Configuration
    from perfmodel.counterfactual.document import Run
    from perfmodel.rwlock.lock import Answer

__all__ = ["Predicted", "beside", "keep", "kept", "predict_one", "predict_run"]

#: Calls of one simulation with the kernel's corrections, and events at most.
CALLS, EVENTS = 20_000, 3_000_000


@dataclass(frozen=True)
class Predicted:
    """Both arms of one configuration as the models see them, without and with the downgrade.

    Parameters
    ----------
    number : int
        Of the configuration.
    solver : str
        Who answered for the product: closed form, chain or simulation.
    reads_0, reads_1 : float, per s
    blocked_0, blocked_1 : float
        Share of the reads that are blocked.
    wait_0, wait_1 : float, ns
        Mean wait of all reads.
    calls_0, calls_1 : float, per s
    kernel_reads_0, kernel_reads_1, kernel_wait_0, kernel_wait_1, kernel_calls_0, kernel_calls_1 : float
        The same by the simulation, told the laws that were really drawn from and all that the kernel
        does beyond the order of service (sleeping, spinning, stealing, handoff).
    kernel_throughput_error, kernel_wait_error : float
        Standard errors of the simulated effects: relative, ns.
    """

    number: int
    solver: str
    reads_0: float
    reads_1: float
    blocked_0: float
    blocked_1: float
    wait_0: float
    wait_1: float
    calls_0: float
    calls_1: float
    kernel_reads_0: float = math.nan
    kernel_reads_1: float = math.nan
    kernel_wait_0: float = math.nan
    kernel_wait_1: float = math.nan
    kernel_calls_0: float = math.nan
    kernel_calls_1: float = math.nan
    kernel_throughput_error: float = math.nan
    kernel_wait_error: float = math.nan

    @property
    def throughput(self) -> float:
        """Relative change of the reads a second by the downgrade."""
        return self.reads_1 / self.reads_0 - 1.0

    @property
    def wait(self) -> float:
        """Change of the mean wait, ns."""
        return self.wait_1 - self.wait_0

    @property
    def calls(self) -> float:
        """Relative change of the calls a second."""
        return self.calls_1 / self.calls_0 - 1.0

    @property
    def kernel_throughput(self) -> float:
        """As `throughput`, by the simulation with the kernel's corrections."""
        return self.kernel_reads_1 / self.kernel_reads_0 - 1.0

    @property
    def kernel_wait(self) -> float:
        """As `wait`, by the same."""
        return self.kernel_wait_1 - self.kernel_wait_0

    @property
    def kernel_calls(self) -> float:
        """As `calls`, by the same."""
        return self.kernel_calls_1 / self.kernel_calls_0 - 1.0


def _one(answer: Answer, name: str) -> float:
    return float(getattr(answer, name).reshape(-1)[0])


def predict_one(
    configuration: Configuration, constants: Constants, cpus: int, *, kernel: bool = True
) -> Predicted:
    """Predict one configuration.

    Parameters
    ----------
    configuration : Configuration
    constants : Constants
    cpus : int
    kernel : bool
        Also by the simulation with the kernel's corrections; needs numba.

    Raises
    ------
    MissingExtraError
        If that is asked for without the ``simulate`` extra.
    """
    asked = locks(configuration, constants, cpus)
    # Two solvers' errors would make an effect out of nothing: one answers both.
    answers = answer_all(asked, levels=()).answers
    found: dict[str, float] = {}
    for arm, answer in enumerate(answers):
        found[f"reads_{arm}"] = 1e9 * _one(answer, "fault_rate")
        found[f"blocked_{arm}"] = _one(answer, "blocked_share")
        found[f"wait_{arm}"] = _one(answer, "wait_mean")
        found[f"calls_{arm}"] = 1e9 * _one(answer, "call_rate")
    if kernel:
        from perfmodel.rwlock.simulate import compare, simulate
        from perfmodel.rwlock.simulated import Corrections

        corrections = Corrections(
            wake=True, sleep=True, spin=configuration.spin, steal=True, handoff=True
        )
        runs = [
            simulate(
                lock, calls=CALLS, seed=configuration.number, corrections=corrections,
                holds=laws(configuration), max_events=EVENTS, levels=(),
            ) for lock in asked
        ]  # fmt: skip
        for arm, run in enumerate(runs):
            found[f"kernel_reads_{arm}"] = 1e9 * run.estimates["fault_rate"].mean
            found[f"kernel_wait_{arm}"] = run.estimates["wait_mean"].mean
            found[f"kernel_calls_{arm}"] = 1e9 * run.estimates["call_rate"].mean
        change = compare(*runs)
        rate = runs[0].estimates["fault_rate"].mean
        found["kernel_throughput_error"] = change["fault_rate"].error / rate
        found["kernel_wait_error"] = change["wait_mean"].error
    solver = answers[0].solver.split(",")[0].split(";")[0]
    return Predicted(number=configuration.number, solver=solver, **found)


def predict_run(
    run: Run, *, kernel: bool = True, progress: Callable[[float], None] = lambda _: None
) -> tuple[Predicted, ...]:
    """Predict every configuration of a run, from the constants of the same run.

    Parameters
    ----------
    run : Run
    kernel : bool
        See `predict_one`.
    progress : callable
        Told the share done, 0 to 1.
    """
    constants, found = Constants.of(run), []
    for place, record in enumerate(run.records):
        found.append(predict_one(record.configuration, constants, run.cpus, kernel=kernel))
        progress((place + 1) / len(run.records))
    return tuple(found)


# ---- kept beside the run: it takes a minute, and figures and tests should not ----------------------


def beside(path: Path) -> Path:
    """Return the file that keeps the predictions of a run."""
    return path.with_name(path.name.removesuffix(".json") + ".predicted.csv")


def keep(predicted: Sequence[Predicted], run: Run, path: Path) -> Path:
    """Write predictions beside the run; the first line names the run they are of.

    Returns
    -------
    Path
        The file.
    """
    text = io.StringIO()
    text.write(f"# predictions for {run.file} sha256={run.sha256}\n")
    names = [f.name for f in fields(Predicted)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for one in predicted:
        values = (getattr(one, name) for name in names)
        writer.writerow([f"{v:.9g}" if isinstance(v, float) else v for v in values])
    target = beside(path)
    target.write_text(text.getvalue(), encoding="utf-8")
    return target


def kept(path: Path, run: Run) -> tuple[Predicted, ...]:
    """Return the predictions that are kept beside a run.

    Raises
    ------
    InputError
        If there are none, or they are of another run.
    """
    place = beside(path)
    expected = f"what `python -m perfmodel.counterfactual compare {path.name}` keeps"
    try:
        head, *lines = place.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        raise InputError("no predictions are kept of this run", file=place,
                         expected=expected) from None  # fmt: skip
    if not head.endswith(f"sha256={run.sha256}"):
        raise InputError("the predictions are of another run", file=place, line=1,
                         expected=expected)  # fmt: skip
    rows = csv.DictReader(lines)
    kinds = {"number": int, "solver": str}
    try:
        return tuple(
            Predicted(**{name: kinds.get(name, float)(value) for name, value in row.items()})
            for row in rows
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"is damaged ({error})", file=place, expected=expected) from None
