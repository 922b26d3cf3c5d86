"""The laboratory's own programs: the guest's first process and the races, built static."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from perfmodel.errors import MeasureError
from perfmodel.measure.build import compiler_command, source_digest
from perfmodel.resources import calibration_path

if TYPE_CHECKING:
    from pathlib import Path

    from perfmodel.measure.build import Toolset

__all__ = ["build_lab_programs"]

#: Program -> what it needs of the measuring programs' sources.
_NEEDS: dict[str, tuple[str, ...]] = {"init": (), "race": ("common.c",)}
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-pthread", "-static")


def build_lab_programs(tools: Toolset) -> dict[str, Path]:
    """Build the guest's programs beside the measuring programs, or find them built.

    Parameters
    ----------
    tools : Toolset
        The static measuring programs.

    Raises
    ------
    MeasureError
        If the compiler refuses one.
    """
    command = compiler_command()
    bench = calibration_path("bench")
    lab = calibration_path("kernel_lab")
    key = source_digest([*lab.glob("*.c"), bench / "common.c", bench / "common.h"], _FLAGS)
    built = {}
    for name, needs in _NEEDS.items():
        target = tools.folder / f"{name}-{key}"
        if not target.is_file():
            part = target.with_name(f".{target.name}.part")
            files = [str(lab / f"{name}.c"), *(str(bench / one) for one in needs)]
            result = subprocess.run(
                [*command, *_FLAGS, f"-I{bench}", "-o", str(part), *files],
                capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
            if result.returncode:
                part.unlink(missing_ok=True)
                said = "\n".join(result.stderr.strip().splitlines()[:12])
                raise MeasureError(
                    f"{command[0]} could not build {name} of the kernel laboratory. It said:\n{said}"
                )
            part.replace(target)
        built[name] = target
    return built
