"""``perfmodel safety``: which cut is safe, in which kernel, and who breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from perfmodel.cli.output import JsonOption, show, show_json
from perfmodel.errors import InputError

if TYPE_CHECKING:
    from perfmodel.stale_tlb.boundary import Answer, Break, Question

NAME = "safety"
EPILOG = (
    "Examples:\n\nperfmodel safety --kernel 5.11\n\n"
    "perfmodel safety --kernel 5.11 --policy before-flush --transition 'RW->R' --explain\n\n"
    "perfmodel safety --call uffd --actor un-protect --explain"
)


def command(
    *,
    kernel: Annotated[
        str | None,
        typer.Option("--kernel", help="Only the rules of this release, for instance 5.11.",
                     metavar="TEXT"),
    ] = None,
    call: Annotated[
        str | None,
        typer.Option("--call", help="mprotect, uffd, numa, soft-dirty, munmap or madvise; several by"
                     " comma. Default: all.", metavar="NAME"),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option("--policy", help="Where the lock is downgraded; several by comma. Default: all.",
                     metavar="NAME"),
    ] = None,
    transition: Annotated[
        str | None,
        typer.Option("--transition", help="For instance 'RW->R'; several by comma. Default: all.",
                     metavar="TEXT"),
    ] = None,
    entry: Annotated[
        str, typer.Option("--entry", help="base, huge, empty or all.", metavar="NAME")
    ] = "base",
    guard: Annotated[
        str,
        typer.Option("--guard", help="What the kernel would have to add: a name, none or all.",
                     metavar="NAME"),
    ] = "none",
    actor: Annotated[
        str | None,
        typer.Option("--actor", help="Only what this one breaks, for instance forced-write.",
                     metavar="NAME"),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every cell: huge and empty entries and guards too.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print the shortest counterexample of what is chosen; of a"
                     " safe cell, the rules it rests on."),
    ] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Say which cut of a call is safe as regards stale TLB entries, and who breaks the others.

    Each cell was explored completely: every interleaving of the caller, a CPU that goes on using
    its cached translation, and one or two others.
    """
    from perfmodel.stale_tlb.boundary import SIZES, load
    from perfmodel.stale_tlb.cells import OTHERS
    from perfmodel.stale_tlb.setting import GUARD_TEXTS

    table = load()
    if everything:
        entry = guard = "all"
    wanted = {
        "call": _choice(call, [q.call for q in table], "--call"),
        "policy": _choice(_policy(policy), [q.policy for q in table], "--policy"),
        "transition": _choice(transition, [q.transition for q in table], "--transition"),
        "size": _choice(entry, SIZES, "--entry"),
        "guard": _choice(guard, list(GUARD_TEXTS), "--guard"),
        "era": _eras(kernel),
    }
    cells = {q: a for q, a in table.items() if all(getattr(q, k) in v for k, v in wanted.items())}
    if actor is not None:
        _choice(actor, list(OTHERS), "--actor")
        cells = {q: a for q, a in cells.items() if any(actor in b.by for b in a.breaks)}
    if not cells:
        raise InputError(
            "no cell of the table is like that",
            field="--actor" if actor is not None else "--transition",
            expected="fewer restrictions; without any, the table shows what there is",
        )
    from perfmodel.report.safety import boundary_blocks, explanation_blocks, safety_dict

    told = [_shortest(cells, actor)] if explain else []
    if as_json:
        show_json(safety_dict(cells, told))
        return
    blocks = [b for question, broken in told for b in explanation_blocks(question, broken)]
    show(blocks if explain else boundary_blocks(cells))


def _choice(text: str | None, known: Sequence[str], option: str) -> set[str]:
    """Return the names that a comma-separated list, ``all`` or nothing chooses.

    Raises
    ------
    InputError
        If one of them is unknown.
    """
    names = list(dict.fromkeys(known))
    if text is None or text.strip() == "all":
        return set(names)
    chosen = {part.strip() for part in text.split(",")}
    for part in sorted(chosen):
        if part not in names:
            raise InputError(
                f"{part!r} is not known", field=option, expected="some of " + ", ".join(names)
            )
    return chosen


def _policy(text: str | None) -> str | None:
    """Read policies in the spelling of the other verbs; per-VMA locks keep the write lock."""
    if text is None or text.strip() == "all":
        return None
    from perfmodel.scenario import Policy

    try:
        chosen = Policy.parse(text)
    except InputError as error:
        raise InputError(error.what, field="--policy", expected=error.expected) from None
    return ",".join("none" if p is Policy.PER_VMA else p.value for p in chosen)


def _eras(kernel: str | None) -> set[str]:
    from perfmodel.stale_tlb.eras import ERAS, era_of

    if kernel is None:
        return set(ERAS)
    from perfmodel.kernel import Kernel

    try:
        return {era_of(Kernel(kernel))}
    except InputError as error:
        raise InputError(error.what, field="--kernel", expected=error.expected) from None


def _shortest(cells: dict[Question, Answer], actor: str | None) -> tuple[Question, Break | None]:
    """Return the cell and break with the fewest moves; the first cell if all are safe."""
    breaks = [
        (question, broken)
        for question, found in cells.items()
        for broken in found.breaks
        if actor is None or actor in broken.by
    ]
    if not breaks:
        return next(iter(cells)), None
    return min(breaks, key=lambda pair: (pair[1].steps, len(pair[1].by)))
