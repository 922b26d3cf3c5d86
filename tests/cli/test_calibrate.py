"""calibrate: mixed heaps, what to measure next, where the profile goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfmodel.fit import calibrate
from perfmodel.machine import Machine
from perfmodel.readers import read

from .conftest import Cli, refused

pytestmark = [pytest.mark.usefixtures("fitted_once"), pytest.mark.xdist_group("calibrate")]

TRACE = """\
# tracer: nop
#
   prog-7  [000] .....  1.000010: mmap_lock_start_locking: mm=000000aa memcg_id=1 write=true
   prog-7  [000] .....  1.000020: mmap_lock_acquire_returned: mm=000000aa memcg_id=1 write=true success=true
   prog-7  [000] .....  1.000030: mmap_lock_released: mm=000000aa memcg_id=1 write=true
"""


@pytest.fixture
def profile(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    machine = calibrate(read(runs["fit"]), name="heap").machine
    return machine.save(tmp_path_factory.mktemp("profile") / "heap.json")


def test_a_mixed_heap_just_works(cli: Cli, tmp_path: Path, runs: dict[str, Path]) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text(TRACE)
    wis = tmp_path / "page_fault1.csv"
    wis.write_text(
        "tasks,processes,processes_idle,threads,threads_idle,linear\n0,0,100,0,100,0\n"
        "1,2336448,50.00,2000000,50.00,2336448\n2,4000000,0.00,3000000,0.00,4672896\n"
    )
    out = tmp_path / "heap.json"
    ran = cli("calibrate", trace, runs["fit"], wis, "-o", out)
    assert ran.status == 0, ran.err
    assert "Not used in the fit" in ran.out
    assert "which call it was" in ran.out
    assert "several tasks" in ran.out
    assert {r["evidence"] for r in Machine.load(out).fit["evidence"]} == {"A", "E"}


def test_a_heap_that_determines_nothing_is_refused(cli: Cli, tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text(TRACE)
    refused(cli("calibrate", trace, "-o", tmp_path / "p.json"), "nothing to fit", "which call it was",
            "perfmodel measure")  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["trace.txt"]


def test_the_profile_has_a_place_of_its_own(
    cli: Cli, tmp_path: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli("calibrate", runs["fit"], "--brief")
    assert ran.status == 0, ran.err
    assert Machine.load(tmp_path / "machine.json").name == "machine"
    refused(cli("calibrate", runs["fit"], "--brief"), "machine.json", "--force")


def test_next_names_commands_or_says_that_none_helps(
    cli: Cli, profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "220")  # a command must stand on one line to be looked for
    ran = cli("calibrate", "--next", "--machine", profile, "--preset", "mail")
    assert ran.status == 0, ran.err
    assert "What to measure next" in ran.out
    # The made run knows neither splits nor wake-ups; the answer needs wake-ups.
    assert "perfmodel measure --group wake" in ran.out
    told = cli("calibrate", "--next", "--machine", profile, "--json").json
    assert told["scenario"]["kernel"] == "5.11"
    groups = [s["group"] for s in told["suggestions"]]
    assert set(groups) <= {"calls", "faults", "locked", "wake", "trace"}
    shrinks = [s["shrinks"] for s in told["suggestions"]]
    assert shrinks == sorted(shrinks, reverse=True)
    path = tmp_path / "question.json"
    path.write_text(json.dumps({"kernel": "5.11", "call": {"pages": 2, "remote_cpus": 0}}))
    ran = cli("calibrate", "--next", "--machine", profile, "--scenario", path)
    assert ran.status == 0, ran.err
    assert "question.json" in ran.out


def test_next_after_a_fit(cli: Cli, tmp_path: Path, runs: dict[str, Path]) -> None:
    ran = cli("calibrate", runs["fit"], "-o", tmp_path / "p.json", "--next", "--brief")
    assert ran.status == 0, ran.err
    assert "net gain of last-vma, preset mail" in ran.out
    assert Machine.load(tmp_path / "p.json").name == "p"


def test_next_of_an_answer_that_cannot_be_given(cli: Cli, tmp_path: Path, profile: Path) -> None:
    content = json.loads(profile.read_text())
    content["constants"]["pte"] |= {"value": None, "log_sd": None, "reason": "lost"}
    where = content["covariance"]["names"].index("pte")
    content["covariance"]["names"].remove("pte")
    content["covariance"]["log"] = [
        [v for j, v in enumerate(row) if j != where]
        for i, row in enumerate(content["covariance"]["log"]) if i != where
    ]  # fmt: skip
    path = tmp_path / "lacking.json"
    path.write_text(json.dumps(content))
    ran = cli("calibrate", "--next", "--machine", path)
    assert ran.status == 0, ran.err
    assert "cannot be predicted yet" in ran.out
    assert "pte" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), ("FILES", "--next")),
        (("--next",), ("FILES",)),
        (("--machine", "xeon-vm-6.18"), ("--machine", "--next")),
        (("--next", "--machine", "xeon-vm-6.18", "RUN"), ("--machine", "no files")),
        (("--next", "--machine", "nobody"), ("nobody",)),
        (("RUN", "--preset", "mail"), ("--preset", "--next")),
        (("--next", "--machine", "xeon-vm-6.18", "--preset", "none"), ("--preset", "none")),
    ],
)
def test_what_makes_no_sense_is_refused(
    cli: Cli, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], said: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    refused(cli("calibrate", *(runs["fit"] if w == "RUN" else w for w in words)), *said)
    assert list(tmp_path.iterdir()) == []


def test_a_calibration_shows_itself(runs: dict[str, Path]) -> None:
    from io import StringIO

    from rich.console import Console

    calibration = calibrate(read(runs["fit"]), name="shown")
    stream = StringIO()
    Console(file=stream, width=100).print(calibration)
    html = calibration._repr_html_()
    for text in (stream.getvalue(), html):
        assert "How well the data know each constant" in text
        assert "Which parts of the model the data ask for" in text
        assert "victim count" in text or "no other CPU was" in text
