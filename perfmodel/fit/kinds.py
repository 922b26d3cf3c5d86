"""What a group of observations can tell the fit: which cost, in which form, under which tracer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.observations import Group, Moments

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FEWEST", "OPERATIONS", "Usable", "moments_estimate", "usable"]

#: Fewer events than this have no median worth fitting.
FEWEST = 5

#: How the measuring programs and traces name an operation of the models.
OPERATIONS: Mapping[str, str] = {
    "mprotect": "mprotect",
    "munmap": "munmap",
    "madvise_dontneed": "madvise",
    "uffd_writeprotect": "uffd_writeprotect",
    "uffd_unprotect": "uffd_writeprotect",
}

#: Operations of other benchmarks that are one constant each.
_FOREIGN: Mapping[str, str] = {"null_syscall": "null_syscall", "page_fault": "fault_minor"}

#: Phases that are a whole call as the program sees it.
_WHOLE = ("latency", "call", "cost")

#: Formats whose tracer is not the kernel's own ring buffer, by the beginning of their name.
_TRACERS = ("perf", "bpftrace")

#: Bins wider than this share of their centre are intervals; narrower ones are as good as values.
_COARSE = 0.05

#: What a mean exceeds its median by, in the logarithm, where nothing tells it: centre and deviation.
#: In the recorded runs it is 0.01 for the middle one of 3000 groups, 0.11 for one in twenty and 0.40
#: for one in a hundred.
_UNTOLD = (0.05, 0.15)

#: The fault of somebody's benchmark is a write where ours is a read, zeroes a page, and may include the
#: munmap that follows: a factor of 1.7 to either side with 90 %.
_FOREIGN_FAULT = math.log(1.7) / 1.645


@dataclass(frozen=True)
class Usable:
    """What the fit takes a group for.

    Parameters
    ----------
    phase : str
        ``latency``, ``exclusive``, ``shared`` of a call, or the name of a directly measured cost.
    form : {"events", "bins", "stamps", "moments"}
        Times known well enough to have a median; bins of a histogram; differences of microsecond time
        stamps; mean and spread only.
    tracer : str
        Whose cost is in the times: ``""`` nobody's, ``"kernel"``, ``"perf"`` or ``"bpftrace"``.
    extra_log_sd : float
        Further standard deviation of the logarithm, for what is only nearly the cost of the model.
    """

    phase: str
    form: str
    tracer: str = ""
    extra_log_sd: float = 0.0


def usable(group: Group) -> Usable | str:
    """Return what the fit takes a group for, or the reason why it is left out."""
    found = _ours(group) if "benchmark" in group.conditions else _theirs(group)
    if isinstance(found, str):
        return found
    if group.total < FEWEST and group.moments is None:
        return f"fewer than {FEWEST} events"
    if found.form == "events" and not group.median > 0:
        return "median not above the clock's own cost"
    if found.form == "moments" and not (group.moments and group.moments.mean > 0):
        return "an aggregate without a mean"
    if found.form in ("bins", "stamps") and not float(np.max(group.high)) > 0:
        return "no time above zero"
    return found


def _form(group: Group) -> str:
    if group.moments is not None:
        return "moments"
    if group.source.evidence == "B":
        return "stamps"
    width = group.high - group.low
    coarse = width > _COARSE * np.maximum(group.middle, 1.0)
    events = float(group.count.sum())
    return "bins" if events and float(group.count[coarse].sum()) > 0.5 * events else "events"


def _ours(group: Group) -> Usable | str:
    """Sort a record of the kit's own measuring programs."""
    c = group.conditions
    benchmark = c.get("benchmark")
    direct: str | None = None
    match benchmark, group.operation, group.phase:
        case "call_latency", "null_syscall", _:
            direct = "null_syscall"
        case "locked_op", "xadd", _ if c.get("sharing") == "none":
            direct = "rmw_local"
        case "locked_op", "line_transfer", _:
            direct = "line_transfer"
        case "fault_latency", "fault_read", "idle" if c.get("writer") == "none":
            direct = "fault_minor" if c.get("target") == "same_vma" else None
        case "wake", "futex_wake", "wake" if c.get("placement") == "pinned":
            direct = "wake_delay"
        case "wake", "futex_wake", "call" if c.get("placement") == "pinned":
            direct = "wake_call"
    if direct is not None:
        return Usable(direct, _form(group))
    if benchmark == "call_latency":
        if group.operation not in OPERATIONS:
            return f"operation {group.operation} has no model"
        return Usable("latency", _form(group))
    return f"benchmark {benchmark} is for validation, not for the fit"


def _theirs(group: Group) -> Usable | str:
    """Sort what a trace or somebody else's benchmark says."""
    c, phase = group.conditions, group.phase
    if phase == "count" or group.source.evidence == "F":
        return "counts only: the tool's times are biased or not there"
    if phase == "wait":
        return "waits of a trace are for validation, not for the fit"
    if phase in ("hold", "unknown"):
        return "a duration that does not say of what, or in which mode the lock was held"
    if float(c.get("tasks", 1)) > 1:
        return "throughput of several tasks at once: contention, not the cost of one operation"
    if group.operation in _FOREIGN and phase in _WHOLE and not {"function", "command"} & c.keys():
        if float(c.get("pages_per_op", 1)) != 1:
            return "an operation of several pages, of which the model knows only single faults"
        fault = group.operation == "page_fault"
        return Usable(_FOREIGN[group.operation], _form(group), "", _FOREIGN_FAULT if fault else 0.0)
    if phase in ("exclusive", "shared"):
        if group.operation not in OPERATIONS or "pages" not in c:
            return "hold of a trace that does not say which call it was"
        name = next((t for t in _TRACERS if group.source.format.startswith(t)), "kernel")
        return Usable(phase, _form(group), name)
    if phase not in _WHOLE:
        return f"phase {phase} has no model"
    if "command" in c:
        return "time of a whole program"
    if group.operation not in OPERATIONS:
        return f"operation {group.operation} has no model"
    if "function" in c:
        return "latency of a kernel function: the tracer's own cost in it is not known"
    if "pages" not in c:
        return "latency of a call that does not say how many pages"
    return Usable("latency", _form(group))


def moments_estimate(groups: Sequence[Group], extra_log_sd: float = 0.0) -> tuple[float, float]:
    """Return the logarithm of the median that aggregates tell of, and its standard error.

    The model predicts a median, and a mean is pulled above it by the tail. How far is a nuisance: the
    mean exceeds the median by between nothing and `_largest_excess`, evenly likely, where a spread or
    extremes are told, and by what the recorded runs show where they are not. The standard error of the
    mean itself adds to it; the extremes bound the deviation by (max - mean)(mean - min), which no law
    exceeds.

    Parameters
    ----------
    groups : sequence of Group
        Aggregates of the same conditions; their means are joined by their counts.
    extra_log_sd : float
        Further standard deviation.
    """
    told = [
        # The spread of a throughput is one of averages and says nothing of the single times.
        replace(g.moments, sd=math.nan, minimum=math.nan, maximum=math.nan)
        if g.source.evidence == "E" else g.moments
        for g in groups if g.moments is not None
    ]  # fmt: skip
    weights = np.array([max(m.count, 1) for m in told], dtype=float)
    logs, errors = np.array([_one(m) for m in told]).T
    centre = float(np.average(logs, weights=weights))
    # The excess of a tail is of the machine and not of the sample: more of the same does not shrink it.
    error = float(np.average(errors, weights=weights))
    between = float(np.std(logs, ddof=1)) / math.sqrt(len(told)) if len(told) > 1 else 0.0
    return centre, math.sqrt(error**2 + between**2 + extra_log_sd**2)


def _one(m: Moments) -> tuple[float, float]:
    if not m.mean > 0:
        return math.nan, math.nan
    sd = m.sd
    if not sd >= 0:
        sd = math.sqrt(max((m.maximum - m.mean) * (m.mean - m.minimum), 0.0))
        if math.isnan(m.maximum) or math.isnan(m.minimum):
            sd = math.nan
    if math.isnan(sd):
        centre, deviation = _UNTOLD
        return math.log(m.mean) - centre, deviation
    excess = _largest_excess(sd / m.mean, m)
    own = sd / m.mean / math.sqrt(max(m.count, 1))
    # The last term: an aggregate is rounded as it is printed.
    return math.log(m.mean) - excess / 2, math.sqrt(excess**2 / 12 + own**2 + 0.01**2)


def _largest_excess(variation: float, m: Moments) -> float:
    """Return the most by which the logarithm of the mean can exceed that of the median.

    A median is within one deviation of the mean, whatever the law; beyond a coefficient of variation
    of one that bounds nothing, and the logarithm of its square takes over. It is not below the minimum.
    """
    excess = variation if variation < 1 else math.log1p(variation**2) + 1 - math.log(2)
    if m.minimum > 0:
        excess = min(excess, math.log(m.mean / min(m.minimum, m.mean)))
    return excess
