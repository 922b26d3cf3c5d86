"""What the document rests on: the thread, commits, published measurements, as they are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.report.blocks import Block, Bullets, Heading, Text
from perfmodel.report.whole import BREAK_EVENS, VERDICTS
from perfmodel.writeup.numbering import ref

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perfmodel.writeup.material import Material

__all__ = ["blocks"]


def blocks(material: Material) -> list[Block]:
    """Return the sources, numbered, each as its declaration states it."""
    told = [f"{ref('source', name)} {text}" for name, text in _sources(material)]
    return [
        Heading("Sources", 2),
        Text(
            "As their declarations state them."
            + (
                ""
                if material.appendix
                else " With --appendix those of each kernel rule and published pair, too."
            )
        ),
        Bullets(told),
    ]


def _sources(material: Material) -> Iterator[tuple[str, str]]:
    from perfmodel.kernel import FACTS
    from perfmodel.presets import PRESETS
    from perfmodel.stale_tlb.eras import SOURCES

    for name in dict.fromkeys([*VERDICTS, *(n for n, _ in BREAK_EVENS)]):
        yield f"preset {name}", f"Case {name}: {PRESETS[name].source}."
    for rule, history in FACTS.items() if material.appendix else ():
        told = "; ".join(f"from {f.since[0]}.{f.since[1]}, {f.source.rstrip('.')}" for f in history)
        yield f"rule {rule}", f"Rule {rule}: {told}."
    yield "stale TLB", f"Rules of the exploration: {'; '.join(SOURCES.values())}."
    if material.appendix and not isinstance(material.published, str):
        by: dict[str, list[str]] = {}
        for result in material.published.results:
            if result.comparisons:
                by.setdefault(result.pair.source, []).append(result.pair.id)
        for source, pairs in by.items():
            yield f"pair {pairs[0]}", f"{', '.join(pairs)}: {source}."
