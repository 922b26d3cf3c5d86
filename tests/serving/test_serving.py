"""The served explorer without a browser: where a visit starts, and what is refused."""

from __future__ import annotations

import builtins
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfmodel.cli import main
from perfmodel.machine import Machine, shipped_profiles
from perfmodel.presets import PRESETS
from perfmodel.scenario import Scenario
from perfmodel.serving.session import read_start, state_of, write_start


@pytest.fixture
def start() -> Scenario:
    machine = Machine.load(next(iter(shipped_profiles())))
    return Scenario.from_dict(PRESETS["large"].parameters, machine=machine)


def test_a_start_comes_back_with_a_machine_that_is_not_shipped(
    start: Scenario, tmp_path: Path
) -> None:
    data = json.loads(start.machine.to_bytes())
    data["name"] = "my-own"
    own = start.replace(machine=Machine.from_bytes(json.dumps(data).encode()))
    write_start(tmp_path, own)
    back = read_start(tmp_path)
    assert back.to_dict() == own.to_dict()
    assert back.machine.sha256 == own.machine.sha256
    # A link of that page names a machine that only its server knows.
    state, problem = state_of(back, state_of(back, "")[0].to_query())
    assert problem == ""
    assert state.scenario.to_dict() == own.to_dict()


def test_an_address_without_a_query_is_the_start(start: Scenario) -> None:
    state, problem = state_of(start, "")
    assert (state.scenario, problem) == (start, "")


def test_a_query_is_the_scenario_it_came_from(start: Scenario) -> None:
    moved, _ = state_of(start, "")
    moved.set("pages", 77)
    moved.set("fault_rate", 1234.5)
    moved.show(over="cpus")
    state, problem = state_of(start, moved.to_query())
    assert problem == ""
    assert state.scenario == moved.scenario
    assert state.over == "cpus"


@pytest.mark.parametrize("query", ["machine=pdp-11", "pages=many", "colour=blue", "pages=0"])
def test_a_wrong_query_is_told_and_the_start_stands(start: Scenario, query: str) -> None:
    state, problem = state_of(start, query)
    assert problem.startswith("The address was not understood: ")
    assert state.scenario == start


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "voila":
            raise ModuleNotFoundError("No module named 'voila'", name="voila")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["explore", "--no-browser"]) == 2
    assert "pip install 'perfmodel[serve]'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("voila")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["explore", "--no-browser", "--port", str(port)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"--port: port {port} cannot be had" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--machine", "a", "--machine", "b"), "--machine: 2 are given"),
        (("--preset", "nothing"), "there is no preset 'nothing'"),
        (("--port", "70000"), "--port"),
        (("--pages", "0"), "--pages"),
    ],
)
def test_what_it_cannot_do_it_says(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", "--no-browser", *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err


@contextlib.contextmanager
def explorer(home: Path, *python: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve the explorer from a folder, give its process and address, and hold it to a clean end."""
    process = subprocess.Popen(
        [sys.executable, *python, "explore", "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        cwd=home, env={"PATH": "/usr/bin:/bin", "TMPDIR": str(home), "HOME": str(home)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in said


def test_a_visitor_who_never_comes_back_leaves_no_kernel(tmp_path: Path) -> None:
    pytest.importorskip("voila")
    psutil = pytest.importorskip("psutil")
    # A minute is too long for a test.
    impatient = (
        "import sys, perfmodel.serving.server as s; s.IDLE, s.CULL_EVERY = 5, 1;"
        " from perfmodel.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    with explorer(tmp_path, "-c", impatient) as (process, address):

        def kernels() -> int:
            return len(psutil.Process(process.pid).children(recursive=True))

        # Fetched, but not by a browser: no page opens a connection, and none says good-bye.
        with urllib.request.urlopen(address, timeout=60) as page:
            assert b"</html>" in page.read()
        assert kernels() == 1
        end = time.monotonic() + 60
        while kernels():
            assert time.monotonic() < end
            time.sleep(0.1)


def test_it_listens_to_this_machine_alone_and_stops(tmp_path: Path) -> None:
    pytest.importorskip("voila")
    with explorer(tmp_path, "-m", "perfmodel") as (_, address):
        assert address.startswith("http://127.0.0.1:")
        # Nothing of the folder that it was started in is served.
        (tmp_path / "secret.png").write_bytes(b"x")
        with pytest.raises(OSError, match=r"40[34]"):
            urllib.request.urlopen(f"{address}voila/files/secret.png", timeout=10)
    assert list(tmp_path.glob("perfmodel-explore-*")) == []
