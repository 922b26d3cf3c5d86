"""CSV that runtest.py of will-it-scale writes, upstream's and LKP's.

LKP runs either processes or threads; what was not run is 0 there. The file does not hold the name
of its test: where the file is named as an upstream test is, that is taken and a warning says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from perfmodel.readers import files
from perfmodel.readers.reading import by_lines, number, unquoted
from perfmodel.readers.registry import Reader
from perfmodel.readers.throughput.rates import cost, testcase_operation

if TYPE_CHECKING:
    from perfmodel.readers.reading import Lines, Reading

__all__ = ["READER", "parse"]

_HEADING = re.compile(
    rb"\s*tasks(?:,(?:processes|threads|processes_idle|threads_idle|linear))+\s*$"
).match
_TESTS = re.compile(
    r"(?:page_fault[123]|mmap[12]|brk[12]|malloc[12]|tlb_flush[123]|futex[1-4]|context_switch1"
    r"|(?:lseek|lock|open|pread|pwrite|read|write|readseek|writeseek|unlink|getppid|dup|poll|pipe"
    r"|signal|unix|eventfd|fallocate|pthread_mutex|posix_semaphore|sched_yield)\d?)"
)


def parse(lines: Lines, reading: Reading) -> None:
    """Read the two modes of every row."""
    stem = reading.path.name.split(".")[0]
    test = stem if _TESTS.fullmatch(stem) else ""
    columns: list[str] = []
    for number_, raw in lines:
        line = unquoted(raw)
        if _HEADING(line):
            columns = line.decode("ascii").strip().split(",")
            reading.passed()
        elif not line.strip():
            reading.passed()
        elif not columns:
            reading.skip(number_, f"no heading names its columns: {files.quote(line)}")
        else:
            _row(line, number_, columns, test, reading)
    if test and reading.groups:
        reading.warn(f"the test '{test}' is taken from the file's name: the CSV does not hold it")


def _row(line: bytes, number_: int, columns: list[str], test: str, reading: Reading) -> None:
    cells = [number(c.strip()) for c in line.split(b",")]
    if len(cells) != len(columns) or any(c is None or c < 0 for c in cells):
        reading.skip(number_, f"not {len(columns)} numbers: {files.quote(line)}")
        return
    row = {name: c for name, c in zip(columns, cells, strict=True) if c is not None}
    tasks = row["tasks"]
    if tasks == 0:
        reading.passed()  # runtest.py begins with a row of nothing
        return
    if tasks != int(tasks):
        reading.skip(number_, f"{tasks:g} tasks: {files.quote(line)}")
        return
    reasons = []
    with_tasks = f"with {tasks:g} task{'s' * (tasks != 1)}"
    for mode in ("processes", "threads"):
        if mode not in row:
            continue
        if row[mode] == 0:
            reasons.append(f"{mode} {with_tasks}: 0 means that this mode was not run")
            continue
        found = cost(row[mode], tasks)
        if isinstance(found, str):
            reasons.append(f"{mode} {with_tasks}: {found}")
            continue
        operation, extra = testcase_operation(test)
        conditions: dict[str, Any] = {"tasks": int(tasks), "mode": mode, **extra}
        if test:
            conditions["testcase"] = test
        if f"{mode}_idle" in row:
            conditions["idle_percent"] = row[f"{mode}_idle"]
        reading.add(number_, operation, "cost", conditions, found)
    if not {"processes", "threads"} & row.keys():
        reasons.append("neither processes nor threads")
    unused = len(reasons) == len({"processes", "threads"} & row.keys() or {""})
    for index, reason in enumerate(reasons):
        reading.skip(number_, reason, 1 if unused and not index else 0)
    if not unused:
        reading.used()


READER = Reader(
    name="will_it_scale",
    what="CSV of will-it-scale's runtest.py",
    sniff=lambda start: any(_HEADING(unquoted(x)) for x in start.splitlines()),
    read=by_lines("will_it_scale", "E", parse),
    hints=(b"tasks,", b"processes_idle", b"threads_idle", b",linear"),
)
