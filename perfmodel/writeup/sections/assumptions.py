"""What is assumed, and what each assumption rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Cell, Column, Heading, Table, Text
from perfmodel.report.machine import origin
from perfmodel.report.whole import BREAK_EVENS, VERDICTS
from perfmodel.stale_tlb import SCOPE
from perfmodel.writeup.numbering import ref

if TYPE_CHECKING:
    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the table of assumptions, from the declarations of equations, constants and cases."""
    rows = [*_equations(), *_constants(material), *_cases(), *_predictions(material)]
    rows.append(
        ["safety", f"The exploration is of {SCOPE}", "derived, from rules read in the source"]
    )
    columns = [Column("where"), Column("assumption", wrap=True), Column("rests on", wrap=True)]
    return [
        Heading("Assumptions", 2),
        Text(
            f"Everything that an answer below takes for granted stands in {ref('table', 'assumptions')}, as the"
            " equations, the profile and the cases declare it. Measured is what was timed on the machine of the"
            " profile; published, what somebody else measured; derived, what follows from other numbers or from"
            " the kernel's source; assumed, what nobody measured."
        ),
        Table(columns, rows, "Assumptions, and what they rest on", ref("table", "assumptions")),
    ]


def _equations() -> list[list[Cell]]:
    """Return the assumptions of the shown equations, those of one stated error together."""
    from perfmodel.writeup.sections.account import SHOWN
    from perfmodel.writeup.sections.turning import CLOSED

    errors: dict[str, dict[str, None]] = {}
    for equation in (*SHOWN, *CLOSED):
        for text in equation.assumptions:
            errors.setdefault(text, {})[equation.stated_error] = None
    by: dict[str, list[str]] = {}
    for text, stated in errors.items():
        by.setdefault("; ".join(stated), []).append(text)
    return [
        ["equations", _sentence("; ".join(texts)), f"assumed; where it holds: {stated}"]
        for stated, texts in by.items()
    ]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _constants(material: Material) -> list[list[Cell]]:
    from perfmodel.machine import CONSTANTS

    return [
        ["machine", f"{name}: {CONSTANTS[name].meaning}", constant.source or constant.reason or "unknown"]
        for name, constant in material.machine.constants.items() if origin(constant) != "measured"
    ]  # fmt: skip


def _cases() -> list[list[Cell]]:
    from perfmodel.presets import PRESETS

    names = dict.fromkeys([*VERDICTS, *(name for name, _ in BREAK_EVENS)])
    return [
        [
            f"case {n}",
            PRESETS[n].sentence,
            f"assumed, but for what {ref('source', f'preset {n}')} says",
        ]
        for n in names
    ]


def _predictions(material: Material) -> list[list[Cell]]:
    """Return what the predictions themselves say that they rest on, but for the constants above."""
    above = {row[1].partition(":")[0] for row in _constants(material) if isinstance(row[1], str)}
    told = dict.fromkeys(
        w for name in VERDICTS for w in material.prediction(name).warnings
        if not any(constant in w for constant in above)
    )  # fmt: skip
    return [["prediction", _sentence(text), "said by the prediction itself"] for text in told]
