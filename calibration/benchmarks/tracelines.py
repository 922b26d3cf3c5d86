"""Lines of a trace a second, beside `wc -l`, `grep -c` and a loop over a regular expression."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from measuring import compared, in_turn
from readers import FIXTURES, TRACES, counted, filtered_loop, grow, loop, ours, processor_time

__all__ = ["measured"]


def measured(rounds: int = 3, lines: int = 500_000) -> list[dict[str, Any]]:
    """Time all on the same file; stop if they do not count the same events."""
    what, (name, match) = next(iter(TRACES.items()))
    with tempfile.TemporaryDirectory(prefix="perfmodel-") as folder:
        path = Path(folder) / name
        size = grow(FIXTURES / name, path, lines)
        programs = {
            "`wc -l`": lambda: counted("wc", "-l", str(path)),
            "`grep -c`": lambda: counted("grep", "-c", "mmap_lock_[a-z_]*: ", str(path)),
            "a regex loop": lambda: loop(path, match),
            "a regex loop after a test for the event's name": lambda: filtered_loop(path, match),
            "ours": lambda: ours(path),
        }
        counts = {program: run() for program, run in programs.items()}
        if counts.pop("`wc -l`") != size or len(set(counts.values())) != 1:
            raise RuntimeError(f"they do not count the same events: {counts}")
        seconds = in_turn(programs, rounds, processor_time)
    rates = {program: [size / x for x in ran] for program, ran in seconds.items()}
    mine = rates.pop("ours")
    return [
        compared("trace", f"read {what}: pair, count and hash", peer, "lines/s", mine, rate)
        for peer, rate in rates.items()
    ]
