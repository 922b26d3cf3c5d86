"""munmap's real downgrade, predicted from constants that were fitted without any munmap or madvise.

What runs exclusively before munmap's downgrade is made of pieces that mprotect has too: taking the
lock, finding the VMA, splitting it. A fit to mprotect, userfaultfd
write-protect and the directly timed costs alone therefore knows them. What is munmap's own comes from
publications, with their spread, or stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.machine import Constant, Machine
from perfmodel.observations import ObservationTable
from perfmodel.quantities import STATE
from perfmodel.validation.result import Row

if TYPE_CHECKING:
    from perfmodel.fit.natural import Experiment
    from perfmodel.kernel import Kernel
    from perfmodel.published import Published
    from perfmodel.validation.predictive import Draws

__all__ = ["UNSEEN", "Blind", "Part", "fit_without", "predict_munmap", "with_published"]

SCHEMA = "perfmodel.blind/1"

#: Operations that the fit does not see.
UNSEEN = ("munmap", "madvise_dontneed")

#: Factor to either side (90 %) of a published figure of another machine.
_FACTOR = 3.0


@dataclass(frozen=True)
class Part:
    """One piece of munmap's exclusive part.

    Parameters
    ----------
    name : str
    ns : float
    fitted : bool
        Whether its constants were fitted, without munmap, or come from publications.
    """

    name: str
    ns: float
    fitted: bool


@dataclass(frozen=True, eq=False)
class Blind:
    """What was predicted of munmap without having seen one.

    Parameters
    ----------
    machine : Machine
        The profile fitted without `UNSEEN`, with what publications say put in.
    stand_ins : dict of str to str
        Constants that were not fitted, and what stands for them.
    parts : tuple of Part
        Of the exclusive part of a munmap that splits once, in the kernel's order.
    rows : tuple of Row
    """

    machine: Machine
    stand_ins: dict[str, str]
    parts: tuple[Part, ...]
    rows: tuple[Row, ...]

    @property
    def fitted_share(self) -> float:
        """Share of the predicted exclusive part that fitted constants make up."""
        total = sum(p.ns for p in self.parts)
        return sum(p.ns for p in self.parts if p.fitted) / total if total else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""
        return {
            "schema": SCHEMA,
            "not_seen": list(UNSEEN),
            "stand_ins": self.stand_ins,
            "exclusive_parts_ns": [
                {"part": p.name, "ns": p.ns if math.isfinite(p.ns) else None, "fitted": p.fitted}
                for p in self.parts
            ],
            "fitted_share": self.fitted_share if math.isfinite(self.fitted_share) else None,
            "rows": [r.to_dict() for r in self.rows],
        }


def fit_without(
    table: ObservationTable, *, kernel: Kernel | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Machine:  # fmt: skip
    """Fit a profile to everything but munmap and madvise.

    Raises
    ------
    CalibrationError
        If what is left cannot be fitted.
    """
    from perfmodel.fit import calibrate

    seen = tuple(
        g for g in table.groups
        if g.operation not in UNSEEN and g.conditions.get("writer") not in UNSEEN
    )  # fmt: skip
    rest = ObservationTable(seen, table.reports, table.machines)
    return calibrate(rest, name="without-munmap", kernel=kernel, progress=progress).machine


def with_published(machine: Machine, published: Published) -> tuple[Machine, dict[str, str]]:
    """Put published figures where the fit knows nothing of munmap.

    Parameters
    ----------
    machine : Machine
        As `fit_without` gives it.
    published : Published

    Returns
    -------
    Machine, dict of str to str
        The profile, and for every constant that was not fitted what stands for it.
    """
    per_vma = published.constant("munmap_per_vma")
    zap = published.constant("zap_per_page")
    half = per_vma.times()[0] / 2
    pages = zap.times()
    told = f"{per_vma.times()[0]:g} ns for one more VMA on a {per_vma.figures[0].machine}"
    values = {
        "unmap_vma": (half, f"published: munmap_per_vma, half of {told}, the rest is unmap_finish"),
        "unmap_finish": (half, f"published: munmap_per_vma, half of {told}, the rest is unmap_vma"),
        "zap": (float(np.exp(np.mean(np.log(pages)))),
                "published: zap_per_page, " + ", ".join(f"{p:g}" for p in pages) + " ns"),
        "zap_cold": (0.0, "derived: contained in zap, which was published for huge ranges"),
        "warm_zap_pages": (1.0, "derived: of no effect without zap_cold"),
    }  # fmt: skip
    constants, stand_ins = dict(machine.constants), {}
    for name, constant in machine.constants.items():
        if constant.value is not None:
            continue
        if name in values:
            value, source = values[name]
            spread = math.log(_FACTOR) / 1.645 if value > 1.0 else None
            constants[name] = Constant(
                value=value, unit=constant.unit, source=source, log_sd=spread
            )
            stand_ins[name] = source
        else:
            stand_ins[name] = f"unknown: {constant.reason}"
    return replace(machine, constants=constants), stand_ins


def predict_munmap(
    fitted: ObservationTable, table: ObservationTable, *, kernel: Kernel | None = None,
    published: Published | None = None, draws: int = 100, seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Blind:  # fmt: skip
    """Predict munmap's exclusive part and whom it blocks from a fit that has seen no munmap.

    Parameters
    ----------
    fitted : ObservationTable
        The run to fit; its munmap and madvise are left out.
    table : ObservationTable
        The run to compare with.
    kernel : Kernel, optional
        Rules for files that do not name theirs.
    published : Published, optional
        Default: the shipped figures.
    draws, seed : int
        Draws behind the intervals.
    progress : callable
        Told in a few words what is being done.

    Raises
    ------
    InputError
        If the two runs share a file.
    CalibrationError
        If there is nothing to fit or to compare.
    MissingExtraError
        If PyYAML is not installed.
    """
    from perfmodel.errors import CalibrationError
    from perfmodel.fit import Points, collect
    from perfmodel.fit.natural import experiments
    from perfmodel.published import load_published
    from perfmodel.validation.faults import fault_rows, in_order
    from perfmodel.validation.medians import median_rows
    from perfmodel.validation.predictive import draws_of
    from perfmodel.validation.separate import files_of_run

    published = published or load_published()
    # Before the fit: it takes a while.
    files_of_run({g.source.sha256 for g in fitted.groups}, table, field="data")
    bare = fit_without(fitted, kernel=kernel, progress=progress)
    machine, stand_ins = with_published(bare, published)
    drawn = draws_of(machine, draws, seed=seed)
    progress("munmap")
    points = collect(table, kernel=kernel)
    traced = tuple(
        p for p in points.points
        if p.operation == "munmap" and p.phase in ("exclusive", "shared", "latency")
    )  # fmt: skip
    found = [e for e in in_order(experiments(machine, table))
             if e.scenario.call.operation == "munmap"]  # fmt: skip
    if not traced and not found:
        raise CalibrationError("the run to compare with has no munmap.")
    rows = [*median_rows(drawn, Points(traced, {})), *fault_rows(drawn, found)]
    return Blind(machine, stand_ins, _parts(drawn, found, bare), tuple(rows))


def _parts(draws: Draws, found: list[Experiment], bare: Machine) -> tuple[Part, ...]:
    """Pieces of the exclusive part of the smallest munmap at hand, fitted and other constants apart."""
    from perfmodel.hold import hold

    if not found:
        return ()
    one = min(found, key=lambda e: e.scenario.call.pages)
    whole = {name: values[:1] for name, values in draws.constants.items()}
    # What the fit does not know counts as nothing: what is left is fitted. A size is no cost.
    known = {
        n: v if np.isfinite(bare.value(n)) or n in STATE else 0.0 * v for n, v in whole.items()
    }
    pieces = zip(*(hold(one.scenario, one.policy, c).phases for c in (whole, known)), strict=True)
    parts = []
    for every, fitted in pieces:
        if every.mode != "exclusive":
            continue
        parts.append(Part(every.name, float(fitted.ns[0]), True))
        if other := float(every.ns[0] - fitted.ns[0]):
            parts.append(Part(every.name, other, False))
    return tuple(parts)
