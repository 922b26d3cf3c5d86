"""Which measurement would shrink the interval of an answer most.

Linear and Gaussian: the answer moves with the logarithms of the constants by a gradient, the constants
have the covariance of the profile, and a further measurement adds its information to the inverse of that
covariance. Three things no measurement takes away: the scatter of the model itself, which every prediction
carries; the spread of wake-ups over the length of the sleep; and what the measuring programs cannot reach
on the machine at hand, such as a second further CPU on a machine of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.fit.kinds import OPERATIONS
from perfmodel.fit.model import NUISANCE, PointModel
from perfmodel.fit.points import Point, model_call
from perfmodel.hold import ACTUAL_POLICY
from perfmodel.kernel import Kernel
from perfmodel.machine import CONSTANTS
from perfmodel.quantities import STATE
from perfmodel.scenario import Policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.machine import Machine

__all__ = ["Advice", "Suggestion", "advise"]

#: What a measured point's standard error is taken for where the profile does not record it.
_SAMPLING = 0.02

#: A half width that shrinks by less than this share is not worth a measurement.
WORTH = 0.01

#: Half width of a 90 % interval in standard deviations.
_Z = 1.645

_PAGES = (1, 16, 512, 4096, 16384, 65536)
_TRANSITIONS = ("RW->R", "R->RW", "RW->NONE", "NONE->RW", "same-flags")


@dataclass(frozen=True)
class Suggestion:
    """One run of the measuring programs and what it would do.

    Parameters
    ----------
    group : str
        Of ``perfmodel measure``.
    what : str
        Its part that does most.
    half_width : float
        Expected half width of the answer's 90 % interval, ns.
    shrinks : float
        Share by which that is less than today's.
    cpus : int
        CPUs that it takes.
    """

    group: str
    what: str
    half_width: float
    shrinks: float
    cpus: int = 1


@dataclass(frozen=True)
class Advice:
    """What to measure next for one answer.

    Parameters
    ----------
    half_width : float
        Half width of the answer's 90 % interval today, ns, to first order.
    suggestions : tuple of Suggestion
        What this machine can do, the best first.
    elsewhere : tuple of Suggestion
        What only a machine with more CPUs can do, where that would help.
    stays : tuple of (str, float)
        What no measurement takes away, with its share of today's variance.
    cpus : int
        CPUs of the machine that was asked about.
    assumed : bool
        Whether that number is assumed: the profile does not say it.
    """

    half_width: float
    suggestions: tuple[Suggestion, ...]
    elsewhere: tuple[Suggestion, ...]
    stays: tuple[tuple[str, float], ...]
    cpus: int
    assumed: bool = False

    @property
    def worthwhile(self) -> tuple[Suggestion, ...]:
        """Suggestions that would be noticed."""
        return tuple(s for s in self.suggestions if s.shrinks >= WORTH)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""

        def one(s: Suggestion) -> dict[str, Any]:
            return {"group": s.group, "what": s.what, "half_width_ns": s.half_width,
                    "shrinks": s.shrinks, "cpus": s.cpus}  # fmt: skip

        return {
            "half_width_ns": self.half_width,
            "suggestions": [one(s) for s in self.suggestions],
            "elsewhere": [one(s) for s in self.elsewhere],
            "stays": [{"what": w, "share": v} for w, v in self.stays],
            "cpus": self.cpus,
            "cpus_assumed": self.assumed,
        }


@dataclass(frozen=True)
class _Part:
    """Points of one group of ``perfmodel measure`` that belong together."""

    group: str
    what: str
    points: tuple[Point, ...]
    cpus: int = 1


def cpus_of(machine: Machine) -> int | None:
    """Return how many CPUs the profile's machine had, None where it does not say."""
    cpu = (machine.state.get("machine") or {}).get("cpu") or {}
    count = cpu.get("usable") or cpu.get("count")
    return int(count) if isinstance(count, int) else None


def advise(
    machine: Machine, gradient: Mapping[str, float], *, cpus: int | None = None,
    kernel: Kernel | None = None,
) -> Advice:  # fmt: skip
    """Rank the measurements that can be made by how much they would shrink an interval.

    Parameters
    ----------
    machine : Machine
        The profile; its record of the fit says what was measured already, and how well.
    gradient : mapping of str to float
        How the answer moves with the logarithm of each constant, ns.
    cpus : int, optional
        CPUs of the machine to measure on. Default: those that the profile records, else 2.
    kernel : Kernel, optional
        Whose rules hold there. Default: the release that the profile records, else 6.18.

    Returns
    -------
    Advice
    """
    known = cpus or cpus_of(machine)
    cpus = known or 2
    names, covariance, fixed = _spread(machine)
    g = np.array([gradient.get(n, 0.0) for n in names])
    today = float(g @ (covariance + np.diag(fixed)) @ g)
    width = _Z * math.sqrt(today)
    suggestions, elsewhere = [], []
    if today > 0:
        measured = _measured(machine)
        parts = list(_parts(kernel or _kernel(machine)))
        # All points at once: a model of each part would be asked a thousand times.
        slopes = _slopes(machine, names, [p for part in parts for p in part.points])
        ends = np.cumsum([len(part.points) for part in parts])[:-1]
        information = [_information(machine, slope, part, measured)
                       for slope, part in zip(np.split(slopes, ends), parts, strict=True)]  # fmt: skip
        inverse = np.linalg.inv(covariance + 1e-12 * np.eye(len(names)))

        def after(extra: NDArray[np.float64]) -> float:
            left = np.linalg.inv(inverse + extra) + np.diag(fixed)
            return _Z * math.sqrt(float(g @ left @ g))

        single = [after(i) for i in information]
        for group in dict.fromkeys(p.group for p in parts):
            mine = [k for k, p in enumerate(parts) if p.group == group and p.cpus <= cpus]
            if mine:
                best = min(mine, key=lambda k: single[k])
                whole = after(sum((information[k] for k in mine), np.zeros_like(inverse)))
                suggestions.append(
                    Suggestion(group, parts[best].what, whole, 1 - whole / width,
                               max(parts[k].cpus for k in mine))
                )  # fmt: skip
        for k, part in enumerate(parts):
            if part.cpus > cpus:
                elsewhere.append(
                    Suggestion(part.group, part.what, single[k], 1 - single[k] / width, part.cpus)
                )
    return Advice(
        width,
        tuple(sorted(suggestions, key=lambda s: s.half_width)),
        tuple(sorted((s for s in elsewhere if s.shrinks >= WORTH), key=lambda s: s.half_width)),
        _stays(machine, names, g, fixed, covariance, today, cpus),
        cpus,
        known is None,
    )


def _spread(
    machine: Machine,
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Return the constants that vary, what measuring can shrink of their covariance, and what not."""
    apart = [n for n, c in machine.constants.items()
             if n not in machine.covariance_names and c.log_sd and c.value]  # fmt: skip
    names = (*machine.covariance_names, *apart)
    known = len(machine.covariance_names)
    covariance = np.zeros((len(names), len(names)))
    covariance[:known, :known] = machine.covariance
    for place, name in enumerate(apart, start=known):
        covariance[place, place] = (machine.constants[name].log_sd or 0.0) ** 2
    fixed = np.zeros(len(names))
    fixed[:known] = machine.residual_sd**2
    sleep = machine.fit.get("sleep_spread_log_sd")
    if isinstance(sleep, (int, float)) and "wake_latency" in machine.covariance_names:
        place = names.index("wake_latency")
        # Never more than is there: the fit's own variance stays.
        part = min(float(sleep) ** 2, 0.999 * covariance[place, place])
        covariance[place, place] -= part
        fixed[place] += part
    return names, covariance, fixed


def _stays(
    machine: Machine, names: Sequence[str], g: NDArray[np.float64], fixed: NDArray[np.float64],
    covariance: NDArray[np.float64], today: float, cpus: int,
) -> tuple[tuple[str, float], ...]:  # fmt: skip
    """Return what stays whatever is measured, with its share of the variance, the largest first."""
    if not today > 0:
        return ()
    out = {"the scatter of the model itself, which every prediction carries": float(
        machine.residual_sd**2 * (g[: len(machine.covariance_names)] ** 2).sum()
    )}  # fmt: skip
    for place, name in enumerate(names):
        beyond = fixed[place] - (machine.residual_sd**2 if name in machine.covariance_names else 0)
        if beyond > 1e-15:
            out[
                "wake_latency over sleeps of different lengths: of the machine, not of the sample"
            ] = float(beyond * g[place] ** 2)
        if name == "shootdown_more" and cpus < 3 and name not in machine.covariance_names:
            out["shootdown_more: no measurement on fewer than three CPUs depends on it"] = float(
                covariance[place, place] * g[place] ** 2
            )
        if name == "fault_hold":
            out["fault_hold: derived, no tracepoint marks a fault's end"] = float(
                covariance[place, place] * g[place] ** 2
            )
    shares = [(what, value / today) for what, value in out.items() if value > 0.005 * today]
    return tuple(sorted(shares, key=lambda pair: -pair[1]))


def _kernel(machine: Machine) -> Kernel:
    release = ((machine.state.get("machine") or {}).get("kernel") or {}).get("release")
    return Kernel(release if isinstance(release, str) else "6.18")


def _measured(machine: Machine) -> dict[tuple[str, str, int], float]:
    """Return the standard error of what was measured already, by operation, phase and remote CPUs."""
    rows = machine.fit.get("measured")
    if isinstance(rows, list):
        return {
            (str(r["operation"]), str(r["phase"]), int(r["remote_cpus"])): float(r["log_sd"])
            for r in rows
        }
    # A profile of before this was recorded: whatever has errors was measured.
    return {
        (str(r["operation"]), str(r["phase"]), cpu): _SAMPLING
        for r in machine.fit.get("errors_by_operation") or [] for cpu in (0, 1)
    }  # fmt: skip


def _slopes(machine: Machine, names: Sequence[str], points: Sequence[Point]) -> NDArray[np.float64]:
    """Return how the logarithm of each point moves with that of each constant, (points, names)."""
    model = PointModel(points)
    # An unknown cost does not vary, and without its size nothing turns colder.
    unknown = dict.fromkeys(CONSTANTS, 0.0) | {n: STATE[n].domain[1] for n in STATE}
    values = {n: (unknown[n] if math.isnan(v) else v) for n, v in machine.values().items()}
    values |= dict.fromkeys(NUISANCE.values(), 0.0)
    values |= {n: float(v) for n, v in (machine.fit.get("tracer_ns") or {}).items()}
    step = 1e-4
    base = np.maximum(model.predict(values), 1e-3)
    return np.column_stack(
        [
            (model.predict({**values, n: values[n] * (1 + step)}) - base) / (step * base)
            for n in names
        ]
    )


def _information(
    machine: Machine, slope: NDArray[np.float64], part: _Part,
    measured: Mapping[tuple[str, str, int], float],
) -> NDArray[np.float64]:  # fmt: skip
    """Return what the points of a part would add to the inverse of the covariance.

    The model misses a point that was measured before in the same way again, so that a repetition only
    shrinks the sampling error; a point of a new kind brings its whole information.
    """
    own = machine.residual_sd**2
    gain = np.zeros(len(part.points))
    for row, point in enumerate(part.points):
        before = measured.get((point.operation, point.phase, round(point.remote_cpus)))
        if before is None:
            gain[row] = 1.0 / (_SAMPLING**2 + own)
        else:
            gain[row] = 1.0 / (before**2 / 2 + own) - 1.0 / (before**2 + own)
    return np.asarray(np.einsum("pi,p,pj->ij", slope, gain, slope))


def _parts(kernel: Kernel) -> Iterator[_Part]:
    """Give what ``perfmodel measure`` can measure, part by part; see calibration/bench/README.md."""
    for spinners in (0, 1, 2, 3, 7):
        beside = "" if not spinners else (
            f" while {spinners} other CPU{'s run' if spinners > 1 else ' runs'} in the process"
        )  # fmt: skip
        for operation in OPERATIONS:
            points = tuple(
                _call(kernel, operation, "latency", spinners=spinners, pages=pages, vmas=vmas, **more)
                for pages in _PAGES for vmas in (1, 8) if vmas <= pages
                for more in _variants(operation)
            )  # fmt: skip
            yield _Part("calls", f"latency of {operation}{beside}", points, spinners + 1)
        cuts = tuple(
            _call(kernel, "mprotect", "latency", spinners=spinners, pages=pages, transition=transition,
                  splits=splits, merges=merges)
            for pages in _PAGES
            for transition, splits, merges in (("RW->R", 2, 0), ("R->RW", 0, 2))
        )  # fmt: skip
        yield _Part("calls", f"mprotect that splits and merges VMAs{beside}", cuts, spinners + 1)
        huge = tuple(
            _call(kernel, o, "latency", spinners=spinners, pages=p, huge=True)
            for o in ("mprotect", "munmap") for p in (512, 4096, 16384)
        )  # fmt: skip
        yield _Part("calls", f"calls on huge pages{beside}", huge, spinners + 1)
    yield _Part("calls", "an empty system call", (_direct(kernel, "null_syscall", "null_syscall"),))
    yield _Part("faults", "latency of an undisturbed fault",
                (_direct(kernel, "fault_read", "fault_minor"),), 2)  # fmt: skip
    yield _Part("locked", "one locked operation", (_direct(kernel, "xadd", "rmw_local"),))
    yield _Part("locked", "the way of a cache line between CPUs",
                (_direct(kernel, "line_transfer", "line_transfer"),), 2)  # fmt: skip
    yield _Part(
        "wake", "what the waker pays",
        tuple(_direct(kernel, "futex_wake", "wake_call", sleepers=n) for n in (1, 4, 16, 64)), 2,
    )  # fmt: skip
    yield _Part(
        "wake", "from the wake-up to the sleeper's first instruction",
        tuple(_direct(kernel, "futex_wake", "wake_delay", sleepers=n, rank=r)
              for n in (1, 4, 16, 64) for r in sorted({1, n})), 2,
    )  # fmt: skip
    for operation in ("mprotect", "munmap", "uffd_writeprotect", "uffd_unprotect"):
        points = tuple(
            _call(kernel, operation, phase, pages=pages, traced=True, **more)
            for pages in (1, 16, 512, 4096) for phase in ("exclusive", "shared")
            for more in (_variants(operation) if operation == "mprotect" else ({},))
            if phase in _phases(operation)
        )  # fmt: skip
        yield _Part("trace", f"holds of {operation} by tracepoints", points)


def _phases(operation: str) -> tuple[str, ...]:
    return {"mprotect": ("exclusive",), "munmap": ("exclusive", "shared")}.get(
        operation, ("shared",)
    )


def _variants(operation: str) -> tuple[dict[str, Any], ...]:
    if operation == "mprotect":
        return tuple({"transition": t} for t in _TRANSITIONS)
    return ({},)


def _call(kernel: Kernel, operation: str, phase: str, *, traced: bool = False, spinners: int = 0,
          **conditions: Any) -> Point:  # fmt: skip
    if operation == "uffd_unprotect":
        conditions["grants_write"] = True
    call = model_call(operation, conditions)
    return _point(kernel, operation, phase, conditions, call=call, traced=traced,
                  policy=ACTUAL_POLICY[call.operation], remote_cpus=float(spinners))  # fmt: skip


def _direct(kernel: Kernel, operation: str, phase: str, **conditions: Any) -> Point:
    return _point(kernel, operation, phase, conditions)


def _point(kernel: Kernel, operation: str, phase: str, conditions: Mapping[str, Any],
           **more: Any) -> Point:  # fmt: skip
    rest: dict[str, Any] = {
        "call": None,
        "remote_cpus": 0.0,
        "policy": Policy.NONE,
        "traced": False,
    }
    return Point(
        operation=operation, phase=phase, conditions=conditions, ns=1.0, log_sd=_SAMPLING, events=0,
        repetitions=0, kernel=kernel, where="", **{**rest, **more},
    )  # fmt: skip
