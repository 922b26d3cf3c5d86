"""The document of one measured run: what it holds, how it is written."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError
from perfmodel.measure.machine import load_average, machine_state, scheduler_counters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perfmodel.measure.build import Toolset

__all__ = ["SCHEMA", "Document", "load_schema"]

SCHEMA = "perfmodel.bench/1"

Record = dict[str, Any]


@cache
def load_schema() -> dict[str, Any]:
    """Return the published JSON Schema of the document (draft 2020-12)."""
    text = Path(__file__).with_name("schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version() -> str:
    try:
        return metadata.version("perfmodel")
    except metadata.PackageNotFoundError:
        return "unknown"


def _arguments() -> list[str]:
    """Return the command line without the folders it names: a run may be published."""
    return [Path(word).name if word.startswith(("/", "~")) else word for word in sys.argv]


class Document:
    """A run being measured; saved whole after each group.

    Parameters
    ----------
    output : Path
        The file. Its folder is made if it is missing.
    tools : Toolset
        What was built, for the record.

    Raises
    ------
    InputError
        If the place cannot be written.
    """

    def __init__(self, output: Path, tools: Toolset) -> None:
        self.output = output
        self._counters = scheduler_counters()
        self.content: dict[str, Any] = {
            "schema": SCHEMA,
            "status": "running",
            "status_detail": None,
            "started": _now(),
            "finished": None,
            "tool": {
                "perfmodel": _version(),
                "argv": _arguments(),
                "compiler": tools.compiler,
                "cflags": tools.cflags,
            },
            "machine": machine_state(),
            "clock": {"name": "CLOCK_MONOTONIC", "null_ns": None},
            "noise": {"before": None, "after": None, "context_switches": None, "steal_ticks": None},
            "problems": [],
            "trace": None,
            "records": [],
        }

    @property
    def records(self) -> list[Record]:
        """The records so far."""
        records: list[Record] = self.content["records"]
        return records

    def problem(self, group: str, what: str) -> None:
        """Note that something of a group is missing, and why."""
        self.content["problems"].append({"group": group, "what": what})

    def add(self, records: Iterable[Record]) -> None:
        """Add records, and keep the summaries of clock and noise in step."""
        self.records.extend(records)
        nulls = [r["median"] for r in self.records if r["benchmark"] == "null_clock"]
        if nulls:
            self.content["clock"]["null_ns"] = median(nulls)
        for when in ("before", "after"):
            self.content["noise"][when] = _noise_summary(self.records, when)

    def finish(self, status: str, detail: str | None = None) -> None:
        """Note how the run ended: ``complete`` or ``interrupted``, and where."""
        now = scheduler_counters()
        self.content["status"] = status
        self.content["status_detail"] = detail
        self.content["finished"] = _now()
        machine, noise = self.content["machine"], self.content["noise"]
        machine["load_after"] = load_average()
        machine["steal"]["after"] = now["steal"]
        noise["context_switches"] = _difference(now, self._counters, "context_switches")
        noise["steal_ticks"] = _difference(now, self._counters, "steal")

    def save(self) -> None:
        """Write the whole document beside its place and move it there in one step.

        Raises
        ------
        InputError
            If the place cannot be written.
        """
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(
                dir=self.output.parent, prefix=f".{self.output.name}.", suffix=".part"
            )
            aside = Path(name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as text:
                    _write(self.content, text.write)
                    text.flush()
                    os.fsync(text.fileno())
                aside.chmod(0o644)
                aside.replace(self.output)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise InputError(
                f"the results cannot be written: {error.strerror or error}",
                file=self.output,
                field="output",
                expected="a file in a folder that can be written",
            ) from error


def _write(content: dict[str, Any], write: Any) -> None:
    """Write the head indented, for a person, and one record a line, for grep and diff."""
    head = {name: value for name, value in content.items() if name != "records"}
    write(json.dumps(head, indent=1, ensure_ascii=False)[: -len("\n}")])
    write(',\n "records": [')
    comma = "\n"
    for record in content["records"]:
        write(comma + json.dumps(record, separators=(",", ":"), ensure_ascii=False))
        comma = ",\n"
    write("\n ]\n}\n")


def _difference(now: dict[str, int | None], before: dict[str, int | None], name: str) -> int | None:
    last, first = now[name], before[name]
    return None if last is None or first is None else last - first


def _noise_summary(records: list[Record], when: str) -> dict[str, float | int] | None:
    """Return what the noise program found before or after the run, in a few numbers."""
    found = {
        r["operation"]: r
        for r in records
        if r["benchmark"] == "noise" and r["conditions"]["when"] == when
    }
    loop, gap = found.get("fixed_loop"), found.get("clock_gap")
    if loop is None or gap is None:
        return None
    watched_ns = gap["conditions"]["watched_ms"] * 1e6
    late = [value for value in loop["samples"] if value > 1.05 * loop["min"]]
    return {
        "fixed_loop_min_ns": loop["min"],
        "fixed_loop_median_ns": loop["median"],
        "fixed_loop_max_ns": loop["max"],
        "fixed_loop_mean_over_min": round(fmean(loop["samples"]) / loop["min"], 4),
        "fixed_loop_share_5_percent_late": round(len(late) / len(loop["samples"]), 4),
        "gaps_over_1us_per_s": round(gap["count"] / watched_ns * 1e9, 1),
        "largest_gap_ns": gap["max"] or 0,
        "time_lost_in_gaps": round((gap["mean"] or 0) * gap["count"] / watched_ns, 5),
    }
