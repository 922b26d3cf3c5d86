"""The lock itself: its rules, a stress, the sanitizer; and that each broken rule is noticed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from perfmodel.measure.build import Toolset
from perfmodel.resources import calibration_path

# They spin and count on coming to their turn: one at a time.
pytestmark = pytest.mark.xdist_group("measure")

SOURCES = ("lock_stress.c", "rwsem.c", "common.c")

#: Names of rwsem.h; the sanitizer's own is tested apart.
BROKEN = ("DOWNGRADE_WAKE", "WAITERS_BIT", "DOWNGRADE_GAP", "WRITER_HEADS", "READ_WAKE",
          "MOST_WOKEN", "JUMP", "HANDOFF")  # fmt: skip


def compiled(folder: Path, name: str, *flags: str) -> Path | str:
    """Build the stress test with more flags; return what the compiler said if it cannot."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    program = folder / name
    done = subprocess.run(
        ["cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", *flags, "-o", program,
         *(calibration_path("bench", source) for source in SOURCES)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return program if done.returncode == 0 else done.stderr


def stressed(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=120
    )


def test_the_lock_keeps_its_rules_under_stress(tools: Toolset) -> None:
    done = stressed(tools.program("lock_stress"), "--ms", "300", "--threads", "8")
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)["lock_stress"]
    # A stress in which nobody ever waits or downgrades would prove nothing.
    assert counted["waited"] > 100
    assert counted["downgraded"] > 100
    assert counted["read_sections"] > 1000


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tsan")
    program = compiled(folder, "stress", "-g", "-fsanitize=thread")
    if isinstance(program, str):
        pytest.skip(f"this compiler has no thread sanitizer: {program.strip()[-200:]}")
    probe = stressed(program, "--help")
    if probe.returncode:
        pytest.skip(f"the thread sanitizer does not run here: {probe.stderr.strip()[-200:]}")
    return program


def test_the_sanitizer_finds_no_race(sanitized: Path) -> None:
    done = stressed(sanitized, "--ms", "400", "--stuck-ms", "20000")
    assert "ThreadSanitizer" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_the_sanitizer_sees_a_lock_that_orders_nothing(sanitized: Path, tmp_path: Path) -> None:
    program = compiled(
        tmp_path, "broken", "-g", "-fsanitize=thread", "-DRWSEM_BREAK=RWSEM_BREAK_ACQUIRE"
    )
    assert isinstance(program, Path)
    done = stressed(program, "--random", "--ms", "200")
    assert "WARNING: ThreadSanitizer: data race" in done.stderr
    assert done.returncode != 0


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_noticed(tmp_path: Path, rule: str) -> None:
    program = compiled(tmp_path, "broken", f"-DRWSEM_BREAK=RWSEM_BREAK_{rule}")
    assert isinstance(program, Path), program
    done = stressed(program, "--rules", "--stuck-ms", "500", "--ms", "100")
    assert done.returncode == 1
    assert done.stderr.startswith("lock_stress: ")


def test_every_break_of_the_header_is_tested() -> None:
    header = calibration_path("bench", "rwsem.h").read_text(encoding="utf-8")
    named = {
        line.split()[1].removeprefix("RWSEM_BREAK_")
        for line in header.splitlines() if line.startswith("#define RWSEM_BREAK_")
    }  # fmt: skip
    assert named - {"NOTHING", "ACQUIRE"} == set(BROKEN)
