"""What a test program of will-it-scale prints while it runs.

It does not say how many tasks it ran. Each sample gives the least and the greatest rate of a task
and the rate of all together, which bound their number from both sides; where only one whole number
is left, that is it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files, names
from perfmodel.readers.reading import by_lines, plain, unquoted
from perfmodel.readers.registry import Reader
from perfmodel.readers.throughput.rates import cost, is_page_fault_test

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_TEST = re.compile(rb"\s*testcase:\s*(.*?)\s*$").match
_SAMPLE = re.compile(rb"\s*min:(\d{1,18}) max:(\d{1,18}) total:(\d{1,18})\s*$").match
_AVERAGE = re.compile(rb"\s*average:(\d{1,18})\s*$").match
_PHASE = re.compile(rb"\s*(warmup|measurement)\s*$").match


@dataclass(slots=True)
class _Run:
    test: str = ""
    line: int = 0
    measuring: bool = False
    samples: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def tasks(self) -> range:
        """Numbers of tasks that every sample allows."""
        least = max((-(-t // high) for low, high, t in self.samples if high), default=1)
        most = min((t // low for low, high, t in self.samples if low), default=0)
        return range(least, most + 1)


def parse(lines: Lines, reading: Reading) -> None:
    """Read every run of a test."""
    run = _Run()
    for number_, raw in lines:
        line = unquoted(raw)
        test, sample, average, phase = _TEST(line), _SAMPLE(line), _AVERAGE(line), _PHASE(line)
        if test:
            _close(run, None, reading)
            run = _Run(plain(test[1]))
            reading.passed()
        elif phase:
            if phase[1] == b"warmup" and run.measuring:
                _close(run, None, reading)
                run = _Run(run.test)
            run.measuring = phase[1] == b"measurement"
            run.line = run.line or number_
            reading.passed()
        elif sample and not run.measuring:
            reading.passed()  # of the warm-up
        elif sample:
            low, high, total = (int(x) for x in sample.groups())
            if low <= high <= total:
                run.samples.append((low, high, total))
            else:
                reading.skip(number_, f"min, max and total disagree: {files.quote(line)}")
        elif average:
            _close(run, int(average[1]), reading)
            reading.passed()
            run = _Run(run.test)
        elif not line.strip():
            reading.passed()
        else:
            reading.skip(number_, f"no line of will-it-scale: {files.quote(line)}")
    _close(run, None, reading)


def _close(run: _Run, average: int | None, reading: Reading) -> None:
    if not run.samples:
        return
    lines = len(run.samples)
    totals = [float(total) for _, _, total in run.samples]
    mean = math.fsum(totals) / lines
    if average is None:
        reading.warn(
            f"the run of line {run.line} ends before its average: its {lines} samples count"
        )
    elif abs(average - mean) > 1 + 1e-6 * mean:
        reading.skip(run.line, f"its average {average} is not that of its samples", lines)
        return
    if len(run.tasks) != 1:
        reading.skip(
            run.line,
            "how many tasks ran is not told, and the samples allow "
            + (f"{run.tasks[0]} to {run.tasks[-1]}" if run.tasks else "no number"),
            lines,
        )
        return
    tasks = run.tasks[0]
    found = cost(totals, tasks)
    if isinstance(found, str):
        reading.skip(run.line, found, lines)
        return
    conditions: dict[str, Any] = {"tasks": tasks}
    operation = names.UNKNOWN
    if run.test:
        conditions["testcase"] = run.test
    # The program prints what the test does, not its short name.
    if is_page_fault_test(run.test) or run.test.lower().endswith("page fault"):
        operation = "page_fault"
        conditions["pages_per_op"] = 1
    reading.add(run.line, operation, "cost", conditions, found)
    reading.used(lines)


READER = Reader(
    name="will_it_scale_stdout",
    what="output of a will-it-scale test program",
    sniff=lambda start: any(_SAMPLE(unquoted(x)) for x in start.splitlines()),
    read=by_lines("will_it_scale_stdout", "E", parse),
    hints=(b"testcase:", b"warmup", b"measurement", b"average:"),
)
