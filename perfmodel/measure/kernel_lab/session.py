"""One run of the laboratory: build, boot, measure, write one document a boot and cut."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError, MeasureError
from perfmodel.measure.build import PROGRAMS, Toolset, build
from perfmodel.measure.document import Document
from perfmodel.measure.kernel_lab.building import BuiltKernel, build_kernel
from perfmodel.measure.kernel_lab.guest import Guest, boot, choose_accelerator, initramfs
from perfmodel.measure.kernel_lab.plan import Boot, Plan
from perfmodel.measure.kernel_lab.programs import build_lab_programs
from perfmodel.measure.kernel_lab.results import BootResult, guest_machine
from perfmodel.measure.kernel_lab.running import Log
from perfmodel.measure.machine import load_average, machine_state
from perfmodel.measure.session import _keep_trace, _sigterm_as_exception, _Terminated

if TYPE_CHECKING:
    from perfmodel.measure.session import Progress

__all__ = ["RACE_SCHEMA", "run_lab"]

RACE_SCHEMA = "perfmodel.race/1"
_LOG = "kernel-lab.log"
_RACES = "races.json"


def run_lab(
    folder: Path | str,
    plan: Plan,
    *,
    debug: bool = False,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> list[Path]:
    """Run a plan and write what it gave.

    Parameters
    ----------
    folder : path
        Gets ``boot1-2cpu-none.json`` and so on (one ``perfmodel.bench/1`` document for each boot and
        cut, so that what is fitted from the unchanged order never holds a record of another),
        ``races.json``, traces, and the log. Made if it is missing.
    plan : Plan
        From `perfmodel.measure.kernel_lab.make_plan`.
    debug : bool
        Boot the kernel with lock checking: says whether the cuts break a rule, measures nothing.
    progress : callable, optional
        See `perfmodel.measure.Progress`; groups are "kernel", "build", "boot 1" and so on.
    cache : Path, optional
        Where kernels and programs are kept.

    Returns
    -------
    list of Path
        The documents.

    Raises
    ------
    MeasureError
        If something needed is missing or cannot be built, or a guest does not end.
    InputError
        If the folder cannot be written or holds another run.
    KeyboardInterrupt
        On SIGINT, after what had come was written with ``status`` "interrupted". On SIGTERM the
        same, and the process then ends by the signal.
    """
    folder = Path(folder)
    log = _open_folder(folder)
    tell = _teller(progress, log)
    written: list[Path] = []
    try:
        with _sigterm_as_exception():
            tools = build(static=True)
            lab = build_lab_programs(tools)
            kernel = build_kernel(
                log, tell,
                lambda done, total: progress("build", done, total) if progress else None,
                debug=debug, cache=cache,
            )  # fmt: skip
            programs = {name: tools.program(name) for name in PROGRAMS} | lab
            guest = choose_accelerator(kernel.image, lab["init"], log, tell)
            tell(f"guests run under {guest.accelerator.upper()}")
            for one in plan.boots:
                writer = _Writer(folder, one, guest, kernel, tools, debug=debug)
                _run_boot(one, writer, programs, log, progress)
                written += writer.written
    except _Terminated:
        os.kill(os.getpid(), signal.SIGTERM)
        raise SystemExit(128 + signal.SIGTERM) from None
    log.write("complete")
    return written


def _open_folder(folder: Path) -> Log:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = [path.name for path in folder.glob("boot*.json")] + [
            path.name for path in folder.glob(_RACES)
        ]
        if earlier:
            raise InputError(
                f"the folder holds {', '.join(sorted(earlier)[:3])} of another run",
                file=folder,
                field="output",
                expected="a folder that is new or empty",
            )
        log = Log(folder / _LOG)
        log.write("kernel laboratory")
    except OSError as error:
        raise InputError(
            f"the results cannot be written: {error.strerror or error}",
            file=folder,
            field="output",
            expected="a folder that can be written",
        ) from error
    return log


def _teller(progress: Progress | None, log: Log) -> Any:
    def tell(what: str) -> None:
        log.write(what)
        if progress is not None:
            progress(what, 0, 0)

    return tell


def _run_boot(
    one: Boot,
    writer: _Writer,
    programs: dict[str, Path],
    log: Log,
    progress: Progress | None,
) -> None:
    """Boot once; whatever happens, what had come is written."""
    result = BootResult(one)
    name = f"boot {one.number}: {one.vcpus} vCPUs"
    total = len(one.slices)
    if progress is not None:
        progress(name, 0, total)

    since = time.monotonic()

    def take(line: bytes) -> None:
        nonlocal since
        before = result.done
        result.take(line)
        if result.done == before:
            return
        last = result.slices[-1]
        now = time.monotonic()
        log.write(
            f"slice {last.number} of {total}, {last.plan.group}, cut {last.plan.cut}:"
            f" {now - since:.1f} s: {last.plan.program} {' '.join(last.plan.arguments)}"
        )
        since = now
        if progress is not None:
            progress(name, result.done, total)

    why = "the guest ended before its plan did"
    try:
        boot(
            writer.guest.accelerator, one.vcpus, writer.kernel.image,
            initramfs(programs, one.text()), log, limit_s=one.limit_s, take=take,
        )  # fmt: skip
    except (KeyboardInterrupt, _Terminated):
        why = "stopped by a signal"
        raise
    except MeasureError as error:
        why = str(error)
        raise
    finally:
        writer.write(result, None if result.ended else why)
    if not result.ended:
        raise MeasureError(
            f"{name}: the guest ended after {result.done} of {total} slices:"
            f" {'; '.join(result.problems) or 'it said nothing'}. Log: {log.path}, which ends:\n"
            f"{log.tail()}"
        )


class _Writer:
    """Writes the documents of one boot."""

    def __init__(
        self, folder: Path, one: Boot, guest: Guest, kernel: BuiltKernel, tools: Toolset, *,
        debug: bool,
    ) -> None:  # fmt: skip
        self.folder, self.boot, self.guest, self.kernel = folder, one, guest, kernel
        self.tools, self.debug = tools, debug
        self.written: list[Path] = []
        self._begun = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        self._host = machine_state()

    def laboratory(self, cut: str | None) -> dict[str, Any]:
        """Return what the numbers come from, for the documents."""
        host = self._host
        return {
            "evidence": "emulated",
            "accelerator": self.guest.accelerator.upper(),
            "qemu": self.guest.qemu,
            "vcpus": self.boot.vcpus,
            "boot": self.boot.number,
            "cut": cut,
            "debug": self.debug,
            "kernel_build": self.kernel.key,
            "kernel_source": self.kernel.source,
            "host": {
                "cpu": host["cpu"]["model"],
                "cpus": host["cpu"]["usable"],
                "kernel": host["kernel"]["release"],
                "virtualisation": host["virtualisation"],
                "load_before": host["load_before"],
                "load_after": load_average(),
            },
        }

    def write(self, result: BootResult, unfinished: str | None) -> None:
        """Write one document a cut, and add the races to theirs."""
        config = self.kernel.config.read_text(encoding="utf-8")
        for cut in dict.fromkeys(one.cut for one in self.boot.slices):
            path = self.folder / f"boot{self.boot.number}-{self.boot.vcpus}cpu-{cut}.json"
            document = Document(path, self.tools)
            document.content["started"] = self._begun
            document.content["machine"] = guest_machine(result.files, config, self.laboratory(cut))
            document.add(result.records(cut))
            for group, what in result.troubles(cut):
                document.problem(group, what)
            traced = result.traced(cut)
            if traced is not None:
                text = "".join(line + "\n" for line in traced.trace)
                clock = traced.trace_clock or {"name": "x86-tsc", "tick_ns": None}
                document.content["trace"] = _keep_trace(path, text, clock)
            document.finish("interrupted" if unfinished else "complete", unfinished)
            # The counters that finish() takes are the host's: not the guest's.
            document.content["machine"]["load_after"] = None
            document.content["machine"]["steal"]["after"] = None
            document.content["noise"]["context_switches"] = None
            document.content["noise"]["steal_ticks"] = None
            document.save()
            self.written.append(path)
        self._write_races(result)

    def _write_races(self, result: BootResult) -> None:
        counts = result.race_counts()
        if not counts:
            return
        path = self.folder / _RACES
        content: dict[str, Any] = {"schema": RACE_SCHEMA, "evidence": "emulated", "boots": []}
        if path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
        content["boots"].append(
            {"started": self._begun, "laboratory": self.laboratory(None), "races": counts}
        )
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
        if path not in self.written:
            self.written.append(path)
