"""Hold a profile against a run: the verb itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from perfmodel.errors import CalibrationError, InputError
from perfmodel.validation.limits import COVERAGE, KINDS, THRESHOLDS
from perfmodel.validation.result import Row, Validation
from perfmodel.validation.separate import differences, files_of_run

if TYPE_CHECKING:
    from perfmodel.kernel import Kernel
    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["DRAWS", "validate"]

#: The measuring program whose records are compared here and are no points of a fit.
FAULTS = "fault_latency"

#: What of them is compared by number only.
OTHER = "latencies of faults that began before a call, or met something else than a call"

#: Draws of the machine's constants behind the intervals.
DRAWS = 100


def validate(
    machine: Machine,
    table: ObservationTable,
    *,
    kernel: Kernel | None = None,
    thresholds: Mapping[str, float] | None = None,
    coverage: float = COVERAGE,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Validation:
    """Predict from a profile what a separate run measured, and say how well that went.

    Parameters
    ----------
    machine : Machine
        The profile.
    table : ObservationTable
        A run that it was not fitted to.
    kernel : Kernel, optional
        Rules for files that do not say on which kernel they were taken.
    thresholds : mapping of str to float, optional
        Largest median errors that pass, by kind, in place of those of `THRESHOLDS`.
    coverage : float
        Smallest share of rows within their 90 % interval that passes.
    draws, seed : int
        Draws of the machine's constants behind the intervals; at least 10.
    progress : callable
        Told in a few words what is being done.

    Raises
    ------
    InputError
        If a file of the run was given to the fit, a threshold has no kind, or there are too few
        draws.
    CalibrationError
        If the run has nothing that can be predicted.
    """
    from perfmodel.fit import collect
    from perfmodel.fit.natural import experiments
    from perfmodel.validation.faults import fault_rows, in_order
    from perfmodel.validation.medians import median_rows
    from perfmodel.validation.predictive import draws_of
    from perfmodel.validation.rates import rate_rows

    unknown = [k for k in thresholds or {} if k not in KINDS]
    if unknown:
        raise InputError(f"there is no kind {unknown[0]!r}", field="threshold",
                         expected="one of " + ", ".join(KINDS))  # fmt: skip
    if draws < 10:
        raise InputError(f"{draws} draws make no interval", field="draws", expected="10 or more")
    files = files_of_run({f.sha256 for f in machine.inputs}, table, field="data")
    drawn = draws_of(machine, draws, seed=seed)
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    progress("medians")
    found = in_order(experiments(machine, table))
    try:
        points = collect(table, kernel=kernel)
    except CalibrationError:
        if not found:
            raise
    else:
        rows += median_rows(drawn, points)
        left_out.update({r: n for r, n in points.left_out.items() if FAULTS not in r})
        left_out[OTHER] += sum(
            g.conditions.get("benchmark") == FAULTS and g.phase in ("overlap", "setup", "disturbed")
            for g in table.groups
        )
    progress("faults beside a caller")
    rows += fault_rows(drawn, found)
    beside, skipped = rate_rows(drawn, table, found)
    rows += beside
    left_out.update(skipped)
    return Validation(
        machine=machine.name,
        sha256=machine.sha256,
        evidence=machine.evidence,
        rows=tuple(rows),
        thresholds={**THRESHOLDS, **(thresholds or {})},
        coverage_threshold=coverage,
        files=files,
        left_out={r: n for r, n in left_out.items() if n},
        warnings=tuple(differences(machine, table)),
    )
