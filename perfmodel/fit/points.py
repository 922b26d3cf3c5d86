"""Observations to the points of the fit: one median under one set of conditions, with its error.

A point of exact events has the median of the medians of its repetitions and a normal law around its
logarithm. A point of intervals (histograms, microsecond time stamps) keeps the whole likelihood of its
median besides, and a point of aggregates the median that its mean tells of.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import CalibrationError, InputError
from perfmodel.fit.kinds import FEWEST, OPERATIONS, Usable, moments_estimate, usable
from perfmodel.fit.scatter import Curve, curve_of
from perfmodel.hold import ACTUAL_POLICY
from perfmodel.kernel import Kernel
from perfmodel.observations import Group, ObservationTable
from perfmodel.scenario import Call, Policy

if TYPE_CHECKING:
    from perfmodel.fit.model import PointModel

__all__ = ["FEWEST", "OPERATIONS", "Point", "Points", "collect", "kernel_of", "model_call"]

#: Conditions that make two groups the same point; everything else is a repetition.
_KEYS = (
    "transition", "shape", "pages", "vmas", "splits", "merges", "populated", "huge", "spinners",
    "sleepers", "rank", "slept_us",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One median of the fit.

    Parameters
    ----------
    operation : str
        As the file names it.
    phase : str
        ``latency``, ``exclusive``, ``shared`` for calls, or the name of a directly measured cost.
    conditions : mapping
        The conditions that distinguish the point.
    ns : float
        Median over the repetitions of their medians; of intervals the likeliest median, of aggregates
        the median that their mean tells of.
    log_sd : float
        Standard error of its logarithm, from the spread within and between repetitions.
    events, repetitions : int
        How many values and how many groups it stands for.
    call : Call or None
        The call to be predicted; None for a directly measured cost.
    remote_cpus : float
        CPUs that a flush must interrupt.
    policy : Policy
        What the kernel does.
    kernel : Kernel
        The rules it was measured under.
    traced : bool
        Whether tracepoints ran, whose cost the fit must separate.
    where : str
        File and line or record of the first repetition.
    tracer : str
        Whose cost that is: ``kernel``, ``perf``, ``bpftrace``; empty if not traced.
    form : {"events", "bins", "stamps", "moments"}
        How the times are known.
    evidence : str
        Evidence class of the file.
    curve : Curve, optional
        Likelihood of the median where it is known only through intervals; None: normal.
    """

    operation: str
    phase: str
    conditions: Mapping[str, Any]
    ns: float
    log_sd: float
    events: int
    repetitions: int
    call: Call | None
    remote_cpus: float
    policy: Policy
    kernel: Kernel
    traced: bool
    where: str
    tracer: str = ""
    form: str = "events"
    evidence: str = "A"
    curve: Curve | None = None


@dataclass(frozen=True)
class Points:
    """The points and what was left out of them, by reason."""

    points: tuple[Point, ...]
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def model(self) -> PointModel:
        """What predicts them: made once, for it is asked about every draw of a profile."""
        from perfmodel.fit.model import PointModel

        return PointModel(self.points)


def _median_log_error(group: Group) -> float:
    """Return the standard error of the logarithm of a group's median, from its quartiles."""
    low, middle, high = (group.quantile(q) for q in (0.25, 0.5, 0.75))
    if not middle > 0:
        return math.nan
    # 0.93 IQR/sqrt(n) is the error of a normal sample's median; binning and clock add 0.3 ns.
    spread = max((high - low) / middle, 0.3 / middle)
    return 0.93 * spread / math.sqrt(group.total)


def _recorded_kernel(document: Mapping[str, Any]) -> Kernel | None:
    """Return the rules of the kernel that a file says it was measured on; None if it does not."""
    kernel = (document.get("machine") or {}).get("kernel")
    if not isinstance(kernel, Mapping) or not isinstance(kernel.get("release"), str):
        return None
    config = kernel.get("config")
    blocker = config.get("DETECT_HUNG_TASK_BLOCKER") if isinstance(config, Mapping) else None
    return Kernel(kernel["release"], blocker is not False)


def kernel_of(group: Group, table: ObservationTable, fallback: Kernel | None) -> Kernel:
    """Return the rules under which a group was measured: its file's, else the fallback.

    Raises
    ------
    CalibrationError
        If neither is known.
    """
    recorded = _recorded_kernel(table.machines.get(group.source.file) or {})
    if recorded is not None:
        return recorded
    if fallback is None:
        raise CalibrationError(
            f"{group.source.file} does not say which kernel it was measured on, and no other file"
            " given beside it does. Name it, for instance with --kernel 6.18."
        )
    return fallback


def _some_kernel(table: ObservationTable) -> Kernel | None:
    recorded = (_recorded_kernel(document) for document in table.machines.values())
    return next((kernel for kernel in recorded if kernel is not None), None)


def model_call(operation: str, conditions: Mapping[str, Any]) -> Call:
    """Return the call of the model that an operation of a measurement is.

    Raises
    ------
    InputError
        If the conditions are no possible call.
    """
    transition = conditions.get("transition", "RW->R")
    if operation != "mprotect":
        # An un-protect may make entries writable, as a grant of mprotect does.
        transition = "R->RW" if conditions.get("grants_write") else "RW->R"
    return Call(
        operation=OPERATIONS.get(operation, operation),
        pages=conditions["pages"],
        vmas=conditions.get("vmas", 1),
        splits=conditions.get("splits", 0),
        merges=conditions.get("merges", 0),
        transition=transition,
        populated=conditions.get("populated", 1.0),
        huge=bool(conditions.get("huge", False)),
    )


def collect(table: ObservationTable, *, kernel: Kernel | None = None) -> Points:
    """Gather the points that the model can be fitted to.

    Parameters
    ----------
    table : ObservationTable
        What the readers found.
    kernel : Kernel, optional
        Rules for files that do not say on which kernel they were taken. Default: those of the
        first file of the table that does say.

    Returns
    -------
    Points
        One point for each set of conditions; repetitions are joined by the median of their
        medians. Everything left out is counted by reason.

    Raises
    ------
    CalibrationError
        If a file's kernel is unknown, or nothing can be used.
    """
    fallback = kernel or _some_kernel(table)
    repetitions: dict[tuple[Any, ...], list[Group]] = defaultdict(list)
    left_out: Counter[str] = Counter()
    for group in table.groups:
        kind = usable(group)
        if isinstance(kind, str):
            left_out[kind] += 1
        else:
            key = tuple(group.conditions.get(k) for k in _KEYS)
            repetitions[(group.operation, kind, key)].append(group)
    points = []
    for (operation, kind, key), groups in repetitions.items():
        point = _point(operation, kind, key, groups, table, fallback)
        if isinstance(point, str):
            left_out[point] += len(groups)
        else:
            points.append(point)
    if not points:
        reasons = "; ".join(f"{n} x {why}" for why, n in left_out.items()) or "the files are empty"
        raise CalibrationError(
            f"there is nothing to fit: {reasons}. What can be fitted: runs of perfmodel measure, holds of"
            " a trace whose calls are labelled with operation and pages, latencies of such calls, the"
            " cost of an empty system call or of a page fault."
        )
    return Points(tuple(points), dict(left_out))


def _point(
    operation: str, kind: Usable, key: tuple[Any, ...], groups: list[Group],
    table: ObservationTable, fallback: Kernel | None,
) -> Point | str:  # fmt: skip
    conditions = {k: v for k, v in zip(_KEYS, key, strict=True) if v is not None}
    first = groups[0]
    call: Call | None = None
    policy = Policy.NONE
    if kind.phase in ("latency", "exclusive", "shared"):
        if operation == "uffd_unprotect":
            conditions["grants_write"] = True
        try:
            call = model_call(operation, conditions)
        except InputError as error:
            return f"conditions are no call of the model ({error})"
        policy = ACTUAL_POLICY[call.operation]
    log_median, log_sd, curve = _measured(kind, groups)
    return Point(
        operation=operation,
        phase=kind.phase,
        conditions=conditions,
        ns=math.exp(log_median),
        log_sd=log_sd,
        events=sum(g.total for g in groups),
        repetitions=len(groups),
        call=call,
        remote_cpus=float(conditions.get("spinners", 0)),
        policy=policy,
        kernel=kernel_of(first, table, fallback),
        traced=bool(kind.tracer),
        where=f"{first.source.file}:{first.line}",
        tracer=kind.tracer,
        form=kind.form,
        evidence=first.source.evidence,
        curve=curve,
    )


def _measured(kind: Usable, groups: list[Group]) -> tuple[float, float, Curve | None]:
    """Return the logarithm of the median, its standard error, and its likelihood if not normal."""
    if kind.form == "moments":
        return *moments_estimate(groups, kind.extra_log_sd), None
    if kind.form in ("bins", "stamps"):
        curve = curve_of(groups, stamped=kind.form == "stamps")
        if kind.extra_log_sd:
            curve = curve.scattered(kind.extra_log_sd)
        return curve.best, curve.log_sd, curve
    medians = np.array([g.median for g in groups])
    within = float(np.median([_median_log_error(g) for g in groups])) / math.sqrt(len(groups))
    between = 0.0
    if len(groups) > 1:
        between = float(np.std(np.log(medians), ddof=1)) / math.sqrt(len(groups))
    error = math.sqrt(within**2 + between**2 + kind.extra_log_sd**2)
    return math.log(float(np.median(medians))), error, None
