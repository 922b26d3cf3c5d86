"""One measuring session: the groups one after another, the document kept whole all the time."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError, MeasureError
from perfmodel.measure.build import Toolset, build
from perfmodel.measure.document import Document
from perfmodel.measure.programs import Output, run_program
from perfmodel.measure.tracing import EVENTS, trace_instance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["GROUPS", "Progress", "run"]

#: What can be measured, in the order it is.
GROUPS = ("calls", "faults", "locked", "wake", "trace")

#: Called with (group, points done, points in all); 0 of 0 when a group starts without a count.
Progress = Callable[[str, int, int], None]

_PROGRAM = {
    "calls": "call_latency",
    "faults": "fault_latency",
    "locked": "locked_op",
    "wake": "wake",
}
_SEEDED = ("calls", "faults")
_MOST_PROBLEMS = 20
_QUICK_PASSES = {"calls": "3", "faults": "1"}


class _Terminated(BaseException):
    """SIGTERM came; a BaseException, as KeyboardInterrupt is, so that nothing swallows it."""


@contextlib.contextmanager
def _sigterm_as_exception() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that children are ended and the trace instance removed."""

    def terminate(_number: int, _frame: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; the file is then as of the last group
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _check_groups(groups: Sequence[str] | None) -> tuple[str, ...]:
    if groups is None:
        return GROUPS
    unknown = [name for name in groups if name not in GROUPS]
    if unknown or not groups:
        raise InputError(
            f"there is no group {', '.join(map(repr, unknown))}"
            if unknown
            else "no group is named",
            field="groups",
            expected=f"some of {', '.join(GROUPS)}",
        )
    return tuple(name for name in GROUPS if name in groups)


def run(
    output: Path | str,
    *,
    quick: bool = False,
    groups: Sequence[str] | None = None,
    seed: int = 1,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> Path:
    """Measure this machine and write the run as one document.

    The file is whole at every moment: it is rewritten after each group. A group that fails is
    named under ``problems`` and the run goes on.

    Parameters
    ----------
    output : path
        The JSON file to write. A captured trace is put beside it as ``<output>.trace.txt.gz``.
    quick : bool
        A small grid, for a first look (below half a minute) in place of the full one (minutes).
    groups : sequence of str, optional
        Some of `GROUPS`; default all.
    seed : int
        Of the order in which the points are measured, 0 or more.
    progress : callable, optional
        See `Progress`.
    cache : Path, optional
        Where built programs are kept.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MeasureError
        If the programs cannot be built. No file is written then.
    InputError
        If a group does not exist or the file cannot be written.
    KeyboardInterrupt
        On SIGINT, after the file was saved with ``status`` "interrupted". On SIGTERM the same is
        saved and the process then ends by the signal.
    """
    output = Path(output)
    wanted = _check_groups(groups)
    if seed < 0:
        raise InputError(f"the seed is {seed}", field="seed", expected="0 or more")
    tools = build(cache)
    document = Document(output, tools)
    document.save()  # a place that cannot be written is told now and not after minutes
    at = "noise"
    try:
        with _sigterm_as_exception():
            try:
                _noise(document, tools, "before", quick)
                for at in wanted:
                    if progress is not None:
                        progress(at, 0, 0)
                    _group(document, tools, at, quick=quick, seed=seed, progress=progress)
                    document.save()
                at = "noise"
                _noise(document, tools, "after", quick)
            except (KeyboardInterrupt, _Terminated) as stop:
                name = "SIGINT" if isinstance(stop, KeyboardInterrupt) else "SIGTERM"
                document.finish(
                    "interrupted",
                    f"{name} while measuring {at}; {len(document.records)} records were complete",
                )
                document.save()
                raise
    except _Terminated:
        # The handler of before is back: let the signal do what it would have done.
        os.kill(os.getpid(), signal.SIGTERM)
        raise SystemExit(128 + signal.SIGTERM) from None
    document.finish("complete")
    document.save()
    return output


def _noise(document: Document, tools: Toolset, when: str, quick: bool) -> None:
    watch = "300" if quick else "1000"
    _measure(document, tools, "noise", "noise", ["--when", when, "--watch-ms", watch], None)


def _measure(
    document: Document,
    tools: Toolset,
    group: str,
    program: str,
    arguments: Sequence[str],
    progress: Progress | None,
) -> Output:
    """Run one program; its records and problems go to the document even if it ends early."""
    output = Output()
    tell = None if progress is None else lambda done, total: progress(group, done, total)
    try:
        run_program(tools.program(program), arguments, output, progress=tell)
    except MeasureError as error:
        document.problem(group, str(error))
    finally:
        document.add(output.records)
        for problem in output.problems[:_MOST_PROBLEMS]:
            document.problem(group, problem)
        # A kernel without a feature fails every point that needs it, in nearly the same words.
        more = len(output.problems) - _MOST_PROBLEMS
        if more > 0:
            document.problem(group, f"... and {more} more like these.")
    return output


def _group(
    document: Document,
    tools: Toolset,
    group: str,
    *,
    quick: bool,
    seed: int,
    progress: Progress | None,
) -> None:
    if group == "trace":
        try:
            _trace(document, tools, quick)
        except (MeasureError, OSError) as error:
            document.problem(group, str(error))
        return
    arguments = ["--quick"] if quick else []
    if group in _SEEDED:
        arguments += ["--seed", str(seed)]
    if quick and group in _QUICK_PASSES:
        arguments += ["--passes", _QUICK_PASSES[group]]
    _measure(document, tools, group, _PROGRAM[group], arguments, progress)


def _trace(document: Document, tools: Toolset, quick: bool) -> None:
    """Capture the labelled load; the text goes to a file of its own beside the document."""
    with trace_instance() as instance:
        arguments = ["--instance", str(instance.folder), "--clock", instance.clock]
        result = _measure(
            document,
            tools,
            "trace",
            "traced_load",
            [*arguments, *(["--quick"] if quick else [])],
            None,
        )
        instance.stop()
        if result.pid is None or not result.records:
            return
        lost = instance.lost()
        if lost:
            document.problem("trace", f"The trace buffers lost {lost} events.")
        text = "".join(instance.lines(frozenset({result.pid})))
    clock = result.trace_clock or {"name": instance.clock, "tick_ns": None}
    document.content["trace"] = _keep_trace(document.output, text, clock)


def _keep_trace(output: Path, text: str, clock: dict[str, Any]) -> dict[str, Any]:
    path = output.with_name(output.name + ".trace.txt.gz")
    # No time stamp inside: the same text always gives the same file.
    packed = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    path.write_bytes(packed)
    return {
        "file": path.name,
        "sha256": hashlib.sha256(packed).hexdigest(),
        "clock": clock["name"],
        "tick_ns": clock["tick_ns"],
        "events": list(EVENTS),
    }
