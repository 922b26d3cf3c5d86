"""What a validation is made of: one row a measured number, and what a kind of numbers must reach."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perfmodel.results import LEVEL
from perfmodel.validation.limits import COVERAGE, KINDS, THRESHOLDS

__all__ = ["SCHEMA", "Row", "Summary", "Validation", "summarise"]

SCHEMA = "perfmodel.validation/1"


@dataclass(frozen=True)
class Row:
    """One measured number and its prediction.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    operation : str
        As the file names it.
    conditions : mapping
        What tells the row from the others of its kind and operation.
    unit : str
        ``ns``, ``1`` or ``1/s``.
    measured, predicted, low, high : float
        The interval is for what one such measurement gives: it holds the uncertainty of the
        constants, the scatter that the fit's residuals show, and the sampling error. NaN: unknown.
    events : int
        Values behind the measured number.
    where : str
        File and record.
    reason : str
        Why it is not predicted, where it is not.
    """

    kind: str
    operation: str
    conditions: Mapping[str, Any]
    unit: str
    measured: float
    predicted: float
    low: float
    high: float
    events: int
    where: str
    reason: str = ""

    @property
    def ratio(self) -> float:
        """Predicted over measured; NaN where one is unknown or nothing was measured."""
        return self.predicted / self.measured if self.measured else math.nan

    @property
    def error(self) -> float:
        """What is held against the threshold: relative, for shares the difference."""
        if self.unit == "1":
            return self.predicted - self.measured
        return self.ratio - 1.0

    @property
    def covered(self) -> bool | None:
        """Whether the interval holds the measured number; None without a prediction."""
        if not math.isfinite(self.low):
            return None
        return bool(self.low <= self.measured <= self.high)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""
        numbers = {n: getattr(self, n) for n in
                   ("measured", "predicted", "low", "high", "ratio", "error")}  # fmt: skip
        return {
            "kind": self.kind, "operation": self.operation, "conditions": dict(self.conditions),
            "unit": self.unit, **{n: _plain(v) for n, v in numbers.items()},
            "covered": self.covered, "events": self.events, "where": self.where,
            "reason": self.reason or None,
        }  # fmt: skip


def _plain(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


@dataclass(frozen=True)
class Summary:
    """How some rows came out.

    Parameters
    ----------
    kind, operation : str
        Operation is empty for all of a kind.
    rows, unpredicted : int
    ratio : float
        Median of predicted over measured; NaN for shares.
    median, p90 : float
        Absolute errors; a row that is not predicted counts as infinitely wrong.
    coverage : float
        Share of the predicted rows within their interval.
    """

    kind: str
    operation: str
    rows: int
    unpredicted: int
    ratio: float
    median: float
    p90: float
    coverage: float


def summarise(kind: str, operation: str, rows: Iterable[Row]) -> Summary:
    """Return how rows of one kind came out."""
    rows = list(rows)
    errors = np.array([abs(r.error) for r in rows])
    errors = np.where(np.isfinite(errors), errors, np.inf)
    ratios = [r.ratio for r in rows if r.unit != "1" and math.isfinite(r.ratio)]
    covered = [r.covered for r in rows if r.covered is not None]
    return Summary(
        kind=kind,
        operation=operation,
        rows=len(rows),
        unpredicted=sum(r.covered is None for r in rows),
        ratio=float(np.median(ratios)) if ratios else math.nan,
        median=float(np.median(errors)),
        # Of the values at hand: between a finite and an infinite one lies nothing.
        p90=float(np.quantile(errors, 0.9, method="higher")),
        coverage=float(np.mean(covered)) if covered else math.nan,
    )


@dataclass(frozen=True, eq=False)
class Validation:
    """A profile held against a run that it was not fitted to.

    Parameters
    ----------
    machine : str
        Name of the profile.
    sha256, evidence : str
        Of the profile.
    rows : tuple of Row
    thresholds : mapping of str to float
        By kind; kinds without rows are not asked for.
    coverage_threshold : float
    files : mapping of str to str
        Files of the run and their SHA-256.
    left_out : mapping of str to int
        What of the run is not predicted at all, by reason.
    warnings : tuple of str
        Why the comparison may mislead.
    """

    machine: str
    sha256: str
    evidence: str
    rows: tuple[Row, ...]
    thresholds: Mapping[str, float] = field(default_factory=lambda: dict(THRESHOLDS))
    coverage_threshold: float = COVERAGE
    files: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def of(self, kind: str, operation: str = "") -> tuple[Row, ...]:
        """Return the rows of a kind, and of an operation if one is named."""
        return tuple(
            r for r in self.rows if r.kind == kind and operation in ("", r.operation)
        )  # fmt: skip

    @property
    def kinds(self) -> tuple[Summary, ...]:
        """How each kind came out, in the order of `KINDS`."""
        return tuple(summarise(k, "", rows) for k in KINDS if (rows := self.of(k)))

    @property
    def by_operation(self) -> tuple[Summary, ...]:
        """How each operation of each kind came out."""
        return tuple(
            summarise(kind, name, self.of(kind, name))
            for kind in KINDS
            for name in dict.fromkeys(r.operation for r in self.of(kind))
        )

    @property
    def coverage(self) -> float:
        """Share of all predicted rows within their interval; NaN without any."""
        covered = [r.covered for r in self.rows if r.covered is not None]
        return float(np.mean(covered)) if covered else math.nan

    @property
    def failures(self) -> tuple[str, ...]:
        """What fell short, each in a sentence; empty where the validation passed."""
        found = []
        for s in self.by_operation:
            limit = self.thresholds[s.kind]
            if not s.median <= limit:
                size = "infinite" if math.isinf(s.median) else f"{100 * s.median:.0f} %"
                found.append(
                    f"{s.kind}, {s.operation}: the median error is {size}, the threshold"
                    f" {100 * limit:.0f} %"
                )
        if not self.coverage >= self.coverage_threshold:
            found.append(
                f"coverage: {100 * self.coverage:.0f} % of the rows lie within their"
                f" {100 * LEVEL:.0f} % interval, the threshold is"
                f" {100 * self.coverage_threshold:.0f} %"
            )
        return tuple(found)

    @property
    def passed(self) -> bool:
        """Whether nothing fell short."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""

        def told(s: Summary) -> dict[str, Any]:
            numbers = {n: _plain(getattr(s, n)) for n in ("ratio", "median", "p90", "coverage")}
            head = {"kind": s.kind, "operation": s.operation or None}
            return head | {"rows": s.rows, "unpredicted": s.unpredicted} | numbers

        return {
            "schema": SCHEMA,
            "machine": {"name": self.machine, "evidence": self.evidence, "sha256": self.sha256},
            "passed": self.passed,
            "failures": list(self.failures),
            "level": LEVEL,
            "coverage": _plain(self.coverage),
            "coverage_threshold": self.coverage_threshold,
            "kinds": [
                told(s) | {"threshold": self.thresholds[s.kind]} for s in self.kinds
            ],
            "by_operation": [told(s) for s in self.by_operation],
            "rows": [r.to_dict() for r in self.rows],
            "files": [{"file": f, "sha256": h} for f, h in self.files.items()],
            "left_out": dict(self.left_out),
            "warnings": list(self.warnings),
        }  # fmt: skip
