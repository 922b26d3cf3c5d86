"""Which of the metrics of LKP (the 0-day robot) the kit has a use for, and what they mean.

- ``will-it-scale.per_thread_ops`` and ``per_process_ops``: operations a second of one task;
- ``will-it-scale.52.threads``: operations a second of 52 tasks, 0 where they were not run;
- ``stress-ng.NAME.ops_per_sec``: bogo operations a second of all instances;
- ``perf-sched.wait_time.avg.ms. ... rwsem_down_write_slowpath ...``: waits for the lock that slept,
  with their greatest (``max``) and, in ``wait_and_delay.count``, their number.

perf-profile's percentages, counters and the rest are counted as not used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfmodel.readers import names
from perfmodel.readers.reading import moments
from perfmodel.readers.throughput.rates import cost, is_page_fault_test

if TYPE_CHECKING:
    from perfmodel.readers.reading import Reading

__all__ = ["Column", "Value", "wanted"]

_PER_TASK = re.compile(r"will-it-scale\.per_(thread|process)_ops").fullmatch
_OF_TASKS = re.compile(r"will-it-scale\.(\d{1,6})\.(threads|processes)").fullmatch
_STRESSOR = re.compile(r"stress-ng\.([\w-]+)\.ops_per_sec").fullmatch
_WAIT = re.compile(
    r"perf-sched\.(wait_time|wait_and_delay)\.(avg|max|count)(?:\.ms)?"
    r"\.(.*\brwsem_down_(read|write)_slowpath\b.*)"
).fullmatch
_MODES = {"thread": "threads", "process": "processes"}


def wanted(metric: str) -> bool:
    """Whether the kit has a use for a metric."""
    wait = _WAIT(metric)
    if wait:
        # The other half of wait_and_delay is the scheduler's delay after the wait.
        return (wait[1] == "wait_and_delay") == (wait[2] == "count")
    return any(kind(metric) for kind in (_PER_TASK, _OF_TASKS, _STRESSOR))


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a metric: the runs' mean, or each of them.

    Parameters
    ----------
    line : int
    runs : sequence of float
        One mean, or a value a run.
    spread : float
        Standard deviation between the runs as a share of the mean; NaN where it is not told.
    """

    line: int
    runs: Sequence[float]
    spread: float = math.nan

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return math.fsum(self.runs) / len(self.runs)


@dataclass
class Column:
    """The values of one commit under one set of parameters.

    Parameters
    ----------
    conditions : mapping
        What the file says of the test: suite, testcase, mode, nr_task, tbox_group, commit.
    cpus : int or None
        CPUs of the test machine, for ``nr_task`` in per cent.
    """

    conditions: Mapping[str, Any]
    cpus: int | None = None
    values: dict[str, Value] = field(default_factory=dict)

    def settle(self, reading: Reading) -> None:
        """Add the groups of all values; report those that cannot be used."""
        for metric, value in self.values.items():
            wait = _WAIT(metric)
            if wait is None:
                self._report(value.line, metric, self._rate(metric, value, reading), reading)
            elif wait[2] == "avg":
                self._report(value.line, metric, self._wait(wait, value, reading), reading)
            elif f"perf-sched.wait_time.avg.ms.{wait[3]}" not in self.values:
                self._report(value.line, metric, "its average is not told", reading)

    @staticmethod
    def _report(line: int, metric: str, reason: str | None, reading: Reading) -> None:
        if reason is not None:
            reading.skip(line, f"{metric}: {reason}", 0)

    @property
    def _tasks(self) -> int | None:
        told = str(self.conditions.get("nr_task", ""))
        match = re.fullmatch(r"(\d{1,6})(%?)", told)
        if match is None:
            return None
        if not match[2]:
            return int(match[1]) or None
        return None if self.cpus is None else max(self.cpus * int(match[1]) // 100, 1)

    def _rate(self, metric: str, value: Value, reading: Reading) -> str | None:
        conditions = dict(self.conditions)
        operation, tasks, divide = names.UNKNOWN, self._tasks, 1.0
        per_task, of_tasks, stressor = _PER_TASK(metric), _OF_TASKS(metric), _STRESSOR(metric)
        if per_task:
            conditions["mode"] = _MODES[per_task[1]]
        elif of_tasks:
            if value.mean == 0:
                return "0 means that this mode was not run"
            tasks, conditions["mode"] = int(of_tasks[1]), of_tasks[2]
            divide = float(tasks)
        elif stressor:
            conditions |= {"stressor": stressor[1], "metric": "bogo operation"}
            if tasks is None:
                return "how many instances ran is not told"
            divide = float(tasks)
        if tasks is not None:
            conditions["tasks"] = tasks
        found = cost(value.runs, divide)
        if isinstance(found, str):
            return found
        if len(value.runs) == 1 and value.spread >= 0:
            conditions["spread_between_runs"] = value.spread
        if not stressor and is_page_fault_test(str(conditions.get("testcase", ""))):
            operation, conditions["pages_per_op"] = "page_fault", 1
        reading.add(value.line, operation, "cost", conditions, found, "E")
        return None

    def _wait(self, wait: re.Match[str], value: Value, reading: Reading) -> str | None:
        path = wait[3]
        operation = names.of_symbols(path.split("."))
        largest = self.values.get(f"perf-sched.wait_time.max.ms.{path}")
        count = self.values.get(f"perf-sched.wait_and_delay.count.{path}")
        conditions = dict(self.conditions)
        if "mode" in conditions:
            conditions["tasks_as"] = conditions["mode"]
        conditions |= {
            "mode": wait[4],
            "lock": "mmap_lock" if operation != names.UNKNOWN else "rwsem",
            "caller": path[-200:],
            "contended_only": True,
        }
        events = 1
        if count is not None and count.mean >= 1:
            events = round(count.mean)
        else:
            conditions["count_told"] = False
        found = moments(
            events, 1e6 * value.mean, maximum=math.nan if largest is None else 1e6 * largest.mean
        )
        if isinstance(found, str):
            return found
        if value.spread >= 0:
            conditions["spread_between_runs"] = value.spread
        reading.add(value.line, operation, "wait", conditions, found, "D")
        return None
