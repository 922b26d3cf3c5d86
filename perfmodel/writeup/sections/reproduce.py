"""How to make every number again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel import __version__
from perfmodel.report.blocks import Block, Bullets, Code, Heading, Text
from perfmodel.report.whole import VERDICTS
from perfmodel.writeup.sections.turning import ASKED

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the commands, the versions and the files."""
    name = material.machine.name
    lines = [
        f"perfmodel write-up -o DIR --machine {name}",
        *(f"perfmodel predict --preset {preset} --machine {name}" for preset in VERDICTS),
        *(f"perfmodel break-even --preset {preset} --over {over.replace('_', '-')} --machine {name}"
          for preset, over in ASKED),
        f"perfmodel claims --machine {name}",
        f"perfmodel validate {name} RUN RUN-TRACE",
        "perfmodel safety --kernel 5.11 --transition 'RW->R' --explain",
        f"perfmodel lost-stores --preset mail --forced-writes-per-s 1 --stores-per-s 1e6 --machine {name}",
        "perfmodel published",
        "python -m perfmodel.counterfactual compare RUN",
    ]  # fmt: skip
    files = [f"fitted: {f.file}, sha256 {f.sha256}" for f in material.machine.inputs]
    if material.run is not None:
        seen = {g.source.file: g.source.sha256 for g in material.run.groups}
        files += [
            f"held out: {file.rpartition('/')[2]}, sha256 {digest}" for file, digest in seen.items()
        ]
    missing = [f"{figure} is not drawn: {why}" for figure, why in material.missing.items()]
    return [
        Heading("How to reproduce it", 2),
        Text("This document is written by the first command, and holds no number that was typed. The others"
             " print what it quotes, each with --help and --json; to measure and calibrate another machine:"
             " perfmodel measure, perfmodel calibrate."),
        Code("\n".join(lines)),
        Bullets([f"perfmodel {__version__}, profile {name}, sha256 {material.machine.sha256}", *files, *missing]),
    ]  # fmt: skip
