"""Lines a second of reading a large trace against a plain loop over its lines, in one run.

    python calibration/benchmarks/readers.py [--lines 1000000] [--rounds 3]

The traces are recorded ones repeated with their times moved on. The peers are a loop that matches
each line with a regular expression and takes its fields, the same loop with a test for the event's
name before, `grep -c` and `wc -l`. Only perfmodel goes on to pair the events, count the durations
and hash the file; that is in its time. Times are seconds of processor time of one core, so that
other programs on the machine matter less; the rounds alternate. The exit status is 1 if not all
count the same events.
"""

from __future__ import annotations

import argparse
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from perfmodel.readers import read

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures" / "traces"
Matcher = Callable[[bytes], "re.Match[bytes] | None"]
OURS, LOOP = "perfmodel", "regex loop"

FTRACE = re.compile(
    rb" *(?P<comm>.{1,16}?)-(?P<tid>\d+) +(?:\( *(?P<tgid>[\d-]+)\) +)?\[(?P<cpu>\d+)\] +"
    rb"(?P<flags>\S+) +(?P<time>\d+\.\d+): mmap_lock_(?P<event>\w+): mm=(?P<mm>\w+)"
    rb" memcg_id=(?P<memcg>\d+) write=(?P<write>\w+)(?: success=(?P<success>\w+))?"
).match
PERF = re.compile(
    rb" *(?P<comm>.{1,16}?) +(?P<pid>\d+)/(?P<tid>\d+) +\[(?P<cpu>\d+)\] +(?P<time>\d+\.\d+): +"
    rb"mmap_lock:mmap_lock_(?P<event>\w+): mm=(?P<mm>\w+) memcg_id=(?P<memcg>\d+)"
    rb" write=(?P<write>\w+)(?: success=(?P<success>\w+))?"
).match
TRACES = {
    "ftrace text, us": ("clock-mono.txt", FTRACE),
    "perf script text, ns": ("perf-script-ns-fields.txt", PERF),
    "ftrace text, us, with faults and flushes": ("local-tgid-all-events.txt", FTRACE),
}

_TIME = re.compile(rb"(\d+)\.(\d{6})(\d{3})?:")
_SECOND = 10**9


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def grow(source: Path, target: Path, count: int) -> int:
    """Write the events of a trace again and again, later each time; return the number of lines."""
    events = []
    for line in source.read_bytes().splitlines(keepends=True):
        match = None if line.startswith(b"#") else _TIME.search(line)
        if match:
            second, micro, nano = match.groups()
            stamp = int(second) * _SECOND + int(micro) * 1000 + int(nano or 0)
            form = b"%d.%09d:" if nano else b"%d.%06d:"
            events.append((line[: match.start()], stamp, form, line[match.end() :]))
    # Later by a whole number of microseconds, and as if 5 ms had gone by in between.
    step = (events[-1][1] - events[0][1]) // 1000 * 1000 + 5_000_000
    repeats = -(-count // len(events))
    with target.open("wb") as out:
        for repeat in range(repeats):
            for before, stamp, form, after in events:
                second, rest = divmod(stamp + repeat * step, _SECOND)
                part = rest if form.endswith(b"9d:") else rest // 1000
                out.write(before + form % (second, part) + after)
    return repeats * len(events)


def loop(path: Path, match: Matcher) -> int:
    """Match every line; return how many match."""
    found = 0
    with path.open("rb") as lines:
        for line in lines:
            fields = match(line)
            if fields:
                fields.groups()
                found += 1
    return found


def filtered_loop(path: Path, match: Matcher) -> int:
    """Match the lines that name the event; return how many match."""
    found = 0
    with path.open("rb") as lines:
        for line in lines:
            if b"mmap_lock_" in line:
                fields = match(line)
                if fields:
                    fields.groups()
                    found += 1
    return found


def ours(path: Path) -> int:
    """Read a trace; return how many events of the lock it has."""
    return read(path).reports[0].events


def counted(*command: str) -> int:
    """Return the number that a program prints."""
    return int(subprocess.run(command, capture_output=True, check=True).stdout.split()[0])


def processor_time() -> float:
    """Return the seconds that this process and those it waited for have run."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def compare(what: str, path: Path, lines: int, match: Matcher, rounds: int) -> bool:
    """Run all in turn and print rates and ratios; tell whether they count the same events."""
    programs: dict[str, Callable[[], int]] = {
        "wc -l": lambda: counted("wc", "-l", str(path)),
        "grep -c": lambda: counted("grep", "-c", "mmap_lock_[a-z_]*: ", str(path)),
        LOOP: lambda: loop(path, match),
        LOOP + ", filtered": lambda: filtered_loop(path, match),
        OURS: lambda: ours(path),
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    events = {}
    for _ in range(rounds):
        for name, run in programs.items():
            begun = processor_time()
            events[name] = run()
            seconds[name].append(max(processor_time() - begun, 1e-9))
    say(
        f"{what}: {lines} lines, {path.stat().st_size / 1e6:.0f} MB, {events[OURS]} events of the lock"
    )
    for name, ran in seconds.items():
        ratios = [b / a for a, b in zip(seconds[OURS], ran, strict=True)]
        say(f"  {name:22} {lines / statistics.median(ran) / 1e6:7.2f} M lines/s"
            f"   perfmodel's are {statistics.median(ratios):6.3g} times as many"
            f" ({min(ratios):.3g} to {max(ratios):.3g})")  # fmt: skip
    fine = events.pop("wc -l") == lines and len(set(events.values())) == 1
    if not fine:
        say(f"  They do not count the same events: {events}")
    return fine


def main() -> int:
    """Make the traces, run all in turn, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--lines", type=int, default=1_000_000, help="lines of each trace, at least"
    )
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    fine = True
    with tempfile.TemporaryDirectory(prefix="perfmodel-") as folder:
        for what, (name, match) in TRACES.items():
            path = Path(folder) / name
            lines = grow(FIXTURES / name, path, given.lines)
            fine &= compare(what, path, lines, match, given.rounds)
            path.unlink()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
