"""The held-out check: a profile against a run that it was not fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import CalibrationError

if TYPE_CHECKING:
    import pandas as pd

    from perfmodel.kernel import Kernel
    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["GRID_OPERATIONS", "THRESHOLD", "HeldOut", "held_out_check"]

#: The calls whose prediction decides: those of the question itself.
GRID_OPERATIONS = ("mprotect", "munmap", "uffd_writeprotect")

#: Largest median absolute error of the grid that still counts as predicted.
THRESHOLD = 0.10


@dataclass(frozen=True, eq=False)
class HeldOut:
    """How well a profile predicts a run that it was not fitted to.

    Parameters
    ----------
    table : DataFrame
        One row a point, as `perfmodel.fit.residual_table` gives it.
    median : float
        Median absolute error over the points of `GRID_OPERATIONS`; a point that cannot be
        predicted counts as infinitely wrong.
    threshold : float
    points, unpredicted : int
        Points of the grid, and those among them that cannot be predicted.
    left_out : mapping of str to int
        What of the run is no point, by reason.
    files : mapping of str to str
        Files of the run and their SHA-256.
    warnings : tuple of str
        Why the check may mislead.
    """

    table: pd.DataFrame
    median: float
    threshold: float
    points: int
    unpredicted: int
    left_out: Mapping[str, int]
    files: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the median error of the grid is within the threshold."""
        return bool(self.median <= self.threshold)

    def by_phase(self) -> pd.DataFrame:
        """Return the errors by operation and phase."""
        from perfmodel.fit import summary

        return summary(self.table)

    def grid(self, operation: str) -> pd.DataFrame:
        """Return an operation's median absolute errors, pages down, VMAs across."""
        chosen = self.table[self.table["operation"] == operation]
        size = chosen.assign(size=chosen["error"].abs())
        return size.pivot_table(index="pages", columns="vmas", values="size", aggfunc="median")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "passed": self.passed,
            "median_absolute_error": float(self.median) if np.isfinite(self.median) else None,
            "threshold": self.threshold,
            "operations": list(GRID_OPERATIONS),
            "points": self.points,
            "unpredicted": self.unpredicted,
            "errors_by_operation": [
                {k: _plain(v) for k, v in row.items()} for row in self.by_phase().to_dict("records")
            ],
            "files": [{"file": f, "sha256": h} for f, h in self.files.items()],
            "left_out": dict(self.left_out),
            "warnings": list(self.warnings),
        }


def _plain(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def held_out_check(
    machine: Machine,
    table: ObservationTable,
    *,
    kernel: Kernel | None = None,
    threshold: float = THRESHOLD,
) -> HeldOut:
    """Predict every point of a run with a profile that was not fitted to it.

    Parameters
    ----------
    machine : Machine
        The profile.
    table : ObservationTable
        The held-out run.
    kernel : Kernel, optional
        Rules for files that do not say on which kernel they were taken.
    threshold : float
        Largest median absolute error that passes.

    Raises
    ------
    InputError
        If a file of the run was also given to the fit: then nothing is held out.
    CalibrationError
        If the run holds no point of `GRID_OPERATIONS`.
    """
    from perfmodel.fit import collect, predict_points, residual_table
    from perfmodel.validation.separate import differences, files_of_run

    files = files_of_run({f.sha256 for f in machine.inputs}, table, field="held-out")
    points = collect(table, kernel=kernel)
    errors = residual_table(points.points, predict_points(machine, points))
    asked = errors.loc[errors["operation"].isin(GRID_OPERATIONS), "error"].abs()
    if asked.empty:
        raise CalibrationError(
            "the held-out run has no point of " + ", ".join(GRID_OPERATIONS) + "."
        )
    unknown = int(asked.isna().sum())
    return HeldOut(
        table=errors,
        median=float(asked.fillna(np.inf).median()),
        threshold=threshold,
        points=len(asked),
        unpredicted=unknown,
        left_out=dict(points.left_out),
        files=files,
        warnings=tuple(differences(machine, table)),
    )
