"""The guests' costs, from runs in the order that Linux has, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.errors import InputError
from perfmodel.experiment.measured import laboratory

if TYPE_CHECKING:
    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable

__all__ = ["fit_stock", "stock_table"]


def stock_table(folders: Sequence[Path]) -> ObservationTable:
    """Read runs without any cut, and their traces.

    Parameters
    ----------
    folders : sequence of Path
        What ``perfmodel measure --kernel-lab --cut none`` wrote.

    Raises
    ------
    InputError
        If there is no document, or one was measured under a cut.
    """
    from perfmodel.readers import read

    paths = [p for f in folders for p in sorted(f.glob("boot*")) if p.is_file()]
    if not paths:
        raise InputError("no document of a guest is there", file=folders[0],
                         expected="a folder that `perfmodel measure --kernel-lab` wrote")  # fmt: skip
    table = read(paths)
    for group in table.groups:
        cut = group.conditions.get("cut", "none")
        if cut != "none":
            raise InputError(
                f"measured under the cut {cut}: what is predicted must not have been seen",
                file=group.source.file, expected="runs made with --cut none",
            )  # fmt: skip
    return table


def fit_stock(table: ObservationTable, tell: Callable[[str], None]) -> dict[int, Machine]:
    """Fit one profile for each number of vCPUs, to calls made alone and costs timed by themselves.

    Parameters
    ----------
    table : ObservationTable
        From `stock_table`.
    tell : callable
        Told in a few words what is being done.
    """
    from perfmodel.fit.calibration import calibrate

    by_vcpus: dict[int, set[str]] = {}
    for group in table.groups:
        if group.source.file in table.machines:
            vcpus = laboratory(table, group)["vcpus"]
            by_vcpus.setdefault(vcpus, set()).add(group.source.file)
    machines = {}
    for vcpus, files in sorted(by_vcpus.items()):
        tell(f"fitting a guest of {vcpus} vCPUs")
        some = replace(
            table,
            groups=tuple(
                g for g in table.groups
                if g.source.file in files or g.source.file.removesuffix(".trace.txt.gz") in files
            ),
            machines={f: m for f, m in table.machines.items() if f in files},
        )  # fmt: skip
        machines[vcpus] = calibrate(
            some, name=f"kernel-lab-6.1-{vcpus}cpu",
            description=f"Emulated: a QEMU guest of {vcpus} vCPUs, Linux 6.1 without any cut",
        ).machine  # fmt: skip
    return machines
