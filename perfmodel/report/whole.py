"""The whole report: verdicts, calibration, held-out check, natural experiment, break-evens, figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.presets import PRESETS
from perfmodel.report.blocks import Block, Bullets, Heading, Picture, Text
from perfmodel.report.pictures import caption, left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable
    from perfmodel.scenario import Scenario

__all__ = ["BREAK_EVENS", "VERDICTS", "whole_report"]

#: Presets whose verdict stands in the report.
VERDICTS = ("mail", "large")

#: (preset, parameter) of the break-evens: what was argued about in 2020.
BREAK_EVENS = (("large", "pages"), ("large", "fault_rate"), ("gc-barrier", "same_vma"))


def whole_report(
    machine: Machine,
    *,
    table: ObservationTable | None = None,
    held_out: ObservationTable | None = None,
    pictures: Sequence[Path] = (),
    beside: Path = Path(),
    draws: int = 400,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Block]:
    """Return the report's blocks.

    Parameters
    ----------
    machine : Machine
        The profile.
    table : ObservationTable, optional
        A run for the natural experiment.
    held_out : ObservationTable, optional
        A run that the profile was not fitted to.
    pictures : sequence of Path
        Figures to show.
    beside : Path
        Folder of the report: figures are referenced relative to it.
    draws : int
        Draws behind the intervals.
    progress : callable
        Told in a few words what is being done.
    """
    from perfmodel.breakeven import break_even
    from perfmodel.prediction import predict
    from perfmodel.report.breakeven import breakeven_blocks
    from perfmodel.report.calibration import held_out_blocks
    from perfmodel.report.held_out import held_out_check
    from perfmodel.report.machine import machine_blocks
    from perfmodel.report.prediction import prediction_blocks
    from perfmodel.report.provenance import provenance_blocks

    blocks: list[Block] = [
        Heading("When would it pay for mprotect to downgrade mmap_lock?", 1),
        Text(
            f"Predictions for machine {machine.name} (evidence: {machine.evidence}). Of each number"
            " it is said below whether it was measured here, published, derived or assumed."
        ),
        Heading("Verdicts", 2),
    ]
    kernels = {}
    for name in VERDICTS:
        progress(f"verdict for {name}")
        scenario = _scenario(name, machine)
        kernels[scenario.kernel.release] = scenario.kernel
        blocks += [Text(f"{PRESETS[name].sentence} Source: {PRESETS[name].source}.", "dim")]
        blocks += prediction_blocks(predict(scenario, draws=draws))
    blocks.append(Heading("Break-evens", 2))
    for name, over in BREAK_EVENS:
        progress(f"break-even of {name} over {over}")
        scenario = _scenario(name, machine)
        kernels[scenario.kernel.release] = scenario.kernel
        answer = break_even(scenario, over, points=25, draws=min(draws, 100))
        blocks += [Text(f"{PRESETS[name].sentence} Source: {PRESETS[name].source}.", "dim")]
        blocks += breakeven_blocks(answer)
    blocks += [Heading("The machine and its calibration", 2), *machine_blocks(machine)]
    if held_out is not None:
        progress("held-out check")
        blocks += held_out_blocks(held_out_check(machine, held_out))
    if table is not None:
        progress("natural experiment")
        from perfmodel.fit.natural import natural_experiment
        from perfmodel.report.natural import natural_blocks

        blocks += natural_blocks(natural_experiment(machine, table))
    shown = _pictures(pictures, beside)
    if shown:
        blocks += [Heading("Figures", 2), *shown]
        blocks.append(Bullets([f"not drawn: {why}" for why in left_out(pictures)]))
    return blocks + provenance_blocks(machine, list(kernels.values()), table)


def _scenario(name: str, machine: Machine) -> Scenario:
    from perfmodel.scenario import Scenario

    return Scenario.from_dict(PRESETS[name].parameters, machine=machine)


def _pictures(paths: Sequence[Path], beside: Path) -> list[Block]:
    """Return each figure once, as SVG if there is one, by its path from the report's folder."""
    best: dict[str, Path] = {}
    for path in paths:
        if path.suffix == ".svg" or (path.suffix == ".png" and path.stem not in best):
            best[path.stem] = path
    return [Picture(_relative(path, beside), caption(path)) for _, path in sorted(best.items())]


def _relative(path: Path, beside: Path) -> str:
    import os

    return Path(os.path.relpath(path.resolve(), beside.resolve())).as_posix()
