"""A whole session: the document, its schema, interruptions, missing compiler, tracing."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfmodel import measure
from perfmodel.errors import InputError, MeasureError
from perfmodel.measure import build as build_module
from perfmodel.measure import session, tracing
from perfmodel.measure.build import PROGRAMS, Toolset
from perfmodel.measure.machine import CONFIG_FACTS, machine_state
from perfmodel.measure.programs import Output, run_program

ROOT = Path(__file__).resolve().parents[2]

# One measuring program at a time: they pin threads and spin.
pytestmark = pytest.mark.xdist_group("measure")


def load(path: Path) -> dict:
    import jsonschema  # two seconds, which only one worker needs

    document = json.loads(path.read_text())
    jsonschema.Draft202012Validator(measure.load_schema()).validate(document)
    return document


def test_the_schema_is_itself_valid():
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(measure.load_schema())


def test_a_run_writes_one_valid_document(tools, built_in, tmp_path):
    told = []
    path = measure.run(
        tmp_path / "new" / "run.json",
        quick=True,
        groups=["wake", "locked"],
        cache=built_in,
        progress=lambda *what: told.append(what),
    )
    document = load(path)
    assert document["status"] == "complete"
    assert document["finished"] >= document["started"]
    assert document["problems"] == []
    assert document["trace"] is None
    assert {r["benchmark"] for r in document["records"]} == {
        "locked_op", "wake", "null_clock", "noise",
    }  # fmt: skip
    assert document["clock"]["null_ns"] > 0
    for when in ("before", "after"):
        assert document["noise"][when]["fixed_loop_min_ns"] > 0
    assert document["machine"]["load_after"] is not None
    # Groups come in their fixed order, whatever the order they were named in.
    assert [group for group, done, total in told if (done, total) == (0, 0)] == ["locked", "wake"]
    # Nothing but the document is left in the folder.
    assert [p.name for p in path.parent.iterdir()] == ["run.json"]


def test_the_machine_is_described_without_naming_it():
    state = machine_state()
    text = json.dumps(state)
    assert state["kernel"]["release"] == os.uname().release
    assert set(state["kernel"]["config"]) == set(CONFIG_FACTS)
    assert os.uname().nodename not in (state["cpu"]["model"], state["virtualisation"])
    assert str(Path.home()) not in text or str(Path.home()) == "/"


def test_the_command_line_is_kept_without_folders(tools, built_in, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/private/perfmodel", "-o", "/home/x/out.json"])
    path = measure.run(tmp_path / "run.json", quick=True, groups=["locked"], cache=built_in)
    assert load(path)["tool"]["argv"] == ["perfmodel", "-o", "out.json"]


INTERRUPTED = """
import sys
from pathlib import Path
from perfmodel import measure
measure.run(Path(sys.argv[1]), groups=["calls", "wake"], cache=Path(sys.argv[2]),
            progress=lambda group, done, total: print(group, done, flush=True))
"""


@pytest.mark.parametrize(
    ("number", "name", "status"),
    [(signal.SIGINT, "SIGINT", -signal.SIGINT), (signal.SIGTERM, "SIGTERM", -signal.SIGTERM)],
)
def test_an_interrupted_run_leaves_a_file_that_says_so(
    tools, built_in, tmp_path, number, name, status
):
    path = tmp_path / "run.json"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(path), str(built_in)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run started with & or nohup ignores SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            group, done = line.split()
            if group == "calls" and int(done) >= 2:
                break
        assert json.loads(path.read_text())["status"] == "running"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    # The signal still does what signals do.
    assert process.returncode == status, errors
    document = load(path)
    assert document["status"] == "interrupted"
    assert document["status_detail"].startswith(f"{name} while measuring calls;")
    assert document["noise"]["before"] is not None
    assert document["noise"]["after"] is None
    assert any(r["benchmark"] == "call_latency" for r in document["records"])
    assert no_process_of(tools)


def no_process_of(tools: Toolset) -> bool:
    """Is no program of these left running? Those killed may take a moment to be gone."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        running = []
        for exe in Path("/proc").glob("[0-9]*/exe"):
            try:
                running.append(exe.readlink().parent == tools.folder)
            except OSError:
                continue
        if not any(running):
            return True
        time.sleep(0.05)
    return False


def test_a_program_that_fails_becomes_a_problem(tmp_path, monkeypatch):
    for name in PROGRAMS:
        script = tmp_path / name
        script.write_text("#!/bin/sh\necho 'the floor is lava' >&2\nexit 7\n")
        script.chmod(0o755)
    monkeypatch.setattr(session, "build", lambda _cache: Toolset(tmp_path, "none", ""))
    path = measure.run(tmp_path / "out" / "run.json", groups=["calls", "wake"])
    document = load(path)
    assert document["status"] == "complete"
    assert [p["group"] for p in document["problems"]] == ["noise", "calls", "wake", "noise"]
    assert document["problems"][1]["what"] == (
        "call_latency ended with exit status 7: the floor is lava."
    )


def test_a_flood_of_problems_is_cut_short(tmp_path, monkeypatch):
    for name in PROGRAMS:
        script = tmp_path / name
        script.write_text(
            "#!/bin/sh\nfor i in $(seq 50); do echo '{\"problem\":\"no '$i'\"}'; done\n"
        )
        script.chmod(0o755)
    monkeypatch.setattr(session, "build", lambda _cache: Toolset(tmp_path, "none", ""))
    document = load(measure.run(tmp_path / "out" / "run.json", groups=["calls"]))
    told = [p["what"] for p in document["problems"] if p["group"] == "calls"]
    assert told[0] == "no 1"
    assert told[-1] == "... and 30 more like these."
    assert len(told) == 21


def test_lines_that_are_no_records_are_refused(tmp_path):
    script = tmp_path / "liar"
    script.write_text("#!/bin/sh\necho 'hello'\nsleep 60\n")
    script.chmod(0o755)
    with pytest.raises(MeasureError, match="not JSON"):
        run_program(script, [], Output())


def test_a_missing_compiler_is_told_clearly(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(MeasureError, match=r"'no-such-compiler'.*apt install gcc"):
        measure.run(tmp_path / "run.json", cache=tmp_path / "cache")
    assert not (tmp_path / "run.json").exists()


def test_a_compiler_that_refuses_is_quoted(tmp_path, monkeypatch):
    compiler = tmp_path / "grumpy"
    compiler.write_text("#!/bin/sh\necho 'common.h:1: fatal: no' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(MeasureError, match=r"could not build call_latency.*\n.*fatal: no"):
        build_module.build(tmp_path / "cache")


def test_a_second_build_finds_the_first(tools, built_in):
    before = tools.program("wake").stat().st_mtime_ns
    assert build_module.build(built_in) == tools
    assert tools.program("wake").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("groups", "said"), [(["calls", "cals"], "'cals'"), ([], "no group is named")]
)
def test_groups_that_do_not_exist(tmp_path, groups, said):
    with pytest.raises(InputError, match=f"groups: .*{said}.*Expected some of calls"):
        measure.run(tmp_path / "run.json", groups=groups)


def test_a_place_that_cannot_be_written(tools, built_in, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        measure.run(tmp_path / "file" / "run.json", groups=["locked"], cache=built_in)


# ---- tracing ---------------------------------------------------------------------------------


def instances_of_ours() -> list[str]:
    """Trace instances of this process: others on the machine may be measuring too."""
    place = tracing._mounted_tracefs()
    if place is None:
        return []
    return [p.name for p in (place / "instances").glob(f"perfmodel-{os.getpid()}*")]


def test_without_root_the_trace_group_is_a_problem_only(tools, built_in, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    path = measure.run(tmp_path / "run.json", quick=True, groups=["trace"], cache=built_in)
    document = load(path)
    assert document["status"] == "complete"
    assert document["trace"] is None
    assert [p["group"] for p in document["problems"]] == ["trace"]
    assert "needs root" in document["problems"][0]["what"]


@pytest.fixture
def can_trace():
    """Skip, with the reason, where an instance cannot be made."""
    try:
        with tracing.trace_instance(buffer_kib=64):
            pass
    except MeasureError as error:
        pytest.skip(str(error))
    before = instances_of_ours()
    yield
    assert instances_of_ours() == before


@pytest.mark.usefixtures("can_trace")
def test_a_trace_is_kept_beside_the_document(tools, built_in, tmp_path):
    path = measure.run(tmp_path / "run.json", quick=True, groups=["trace"], cache=built_in)
    document = load(path)
    trace = document["trace"]
    packed = (tmp_path / trace["file"]).read_bytes()
    assert hashlib.sha256(packed).hexdigest() == trace["sha256"]
    text = gzip.decompress(packed).decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    # One task only, whatever else ran on the machine.
    assert len({line.partition("[")[0].strip() for line in lines}) == 1
    assert "perfmodel label operation=munmap pages=512 vmas=1 transition=none" in text
    assert text.count("perfmodel label operation=none") * 2 == text.count("perfmodel label ")
    if trace["clock"] == "x86-tsc":
        assert f"perfmodel clock tick_ns={trace['tick_ns']:.9f}" in text
    assert {r["conditions"]["tracing"] for r in document["records"] if "tracing" in r["conditions"]}


@pytest.mark.usefixtures("can_trace")
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, ValueError])
def test_the_instance_is_gone_whatever_happens_inside(stop):
    def interrupted() -> None:
        with tracing.trace_instance(buffer_kib=64) as instance:
            assert instance.folder.is_dir()
            assert (instance.folder / "tracing_on").read_text().strip() == "1"
            raise stop

    with pytest.raises(stop):
        interrupted()


@pytest.mark.usefixtures("can_trace")
def test_the_instance_of_a_killed_run_is_removed_by_the_next():
    gone = subprocess.Popen(["true"])
    gone.wait()
    with tracing._tracefs() as place:
        stale = place / "instances" / f"perfmodel-{gone.pid}"
        stale.mkdir()
        with tracing.trace_instance(buffer_kib=64):
            assert not stale.exists()
