"""read, calibrate, machine, figures, report: what they make of good files and of bad ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from perfmodel.machine import Machine

from .conftest import Cli, refused

READ_KEYS = {
    "file", "format", "evidence", "events", "holds_exclusive", "holds_shared", "downgrades", "waits",
    "failed_trylocks", "lost", "orphaned", "open", "skipped", "warnings",
}  # fmt: skip

TRACE = """\
# tracer: nop
#
   prog-7  [000] .....  1.000010: mmap_lock_start_locking: mm=000000aa memcg_id=1 write=true
   prog-7  [000] .....  1.000020: mmap_lock_acquire_returned: mm=000000aa memcg_id=1 write=true success=true
   prog-7  [000] .....  1.000030: mmap_lock_released: mm=000000aa memcg_id=1 write=true
CPU:0 [LOST 17 EVENTS]
   prog-7  [000] .....  1.000050: mmap_lock_start_locking: mm=000000aa memcg_id=1 write=false
"""


@pytest.fixture
def heap(tmp_path: Path, runs: dict[str, Path]) -> Path:
    folder = tmp_path / "heap"
    folder.mkdir()
    shutil.copy(runs["fit"], folder / "run.json")
    (folder / "trace.txt").write_text(TRACE)
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def test_read_says_what_it_found(cli: Cli, heap: Path) -> None:
    ran = cli("read", heap, "--json")
    assert ran.status == 0
    reports = {Path(r["file"]).name: r for r in ran.json}
    assert all(r.keys() == READ_KEYS for r in reports.values())
    assert reports["run.json"]["format"] == "bench_json"
    trace = reports["trace.txt"]
    assert (trace["format"], trace["lost"], trace["holds_exclusive"]) == ("ftrace", 17, 1)
    assert "PNG" in reports["picture.png"]["warnings"][0]
    text = cli("read", heap).out
    assert "17 LOST" in text
    assert "mprotect" in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b'{"schema": "perfmodel.bench/1", "records": [', "victim"),
        (b'{"schema": "perfmodel.bench/7", "records": []}', "schema"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"dear diary\n", "of no known format"),
    ],
)
def test_bad_files(cli: Cli, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "victim"
    path.write_bytes(content)
    refused(cli("read", path), "victim", said)
    profile = tmp_path / "out.json"
    refused(cli("calibrate", path, "-o", profile), "victim", said)
    assert not profile.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["victim"]


def test_bad_profiles(cli: Cli, tmp_path: Path, machine: Machine) -> None:
    whole = json.loads(machine.to_bytes())
    path = tmp_path / "profile.json"
    for content, said in (
        ("", "the file is empty"),
        (machine.to_bytes().decode()[:500], "not JSON"),
        (json.dumps({**whole, "schema": "perfmodel.machine/2"}), "schema"),
        (json.dumps({**whole, "schema": "perfmodel.scenario/1"}), "schema"),
        (
            json.dumps({**whole, "constants": {"pte": {"value": -3, "unit": "ns", "source": "x"}}}),
            "constants",
        ),
        (json.dumps({**whole, "constants": 4}), "constants"),
    ):
        path.write_text(content)
        refused(cli("predict", "--machine", path), "profile.json", said)
        refused(cli("machine", "show", path), "profile.json", said)
    path.write_text(json.dumps({**whole, "fit": {"points": 3, "errors_by_operation": 7}}))
    refused(cli("machine", "show", path), "fit")


@pytest.mark.xdist_group("calibrate")
@pytest.mark.usefixtures("fitted_once")
def test_calibrate_finds_the_machine_again(
    cli: Cli, tmp_path: Path, runs: dict[str, Path], machine: Machine
) -> None:
    out, html = tmp_path / "again.json", tmp_path / "again.html"
    ran = cli("calibrate", runs["fit"], "-o", out, "--held-out", runs["held-out"], "--html", html,
              "--description", "<b>bold</b>", "--json")  # fmt: skip
    assert ran.status == 0, ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.html", "again.json"]
    answer = ran.json
    assert answer["held_out"]["passed"]
    assert answer["held_out"]["median_absolute_error"] < 0.02
    again = Machine.load(out)
    for name in ("pte", "zap", "flush_page", "walk_start"):
        assert again.value(name) == pytest.approx(machine.value(name), rel=0.1)
    assert again.fit["held_out"]["passed"]
    assert "<b>" not in html.read_text()
    # An existing profile is safe.
    before = out.read_bytes()
    refused(cli("calibrate", runs["fit"], "-o", out), "again.json", "--force")
    assert out.read_bytes() == before
    shown = cli("machine", "show", out)
    assert "Held-out check" in shown.out
    assert "unknown" in shown.out  # nothing in the runs depends on a split


@pytest.mark.xdist_group("calibrate")
@pytest.mark.usefixtures("fitted_once")
def test_calibrate_fails_where_the_machine_is_another(
    cli: Cli, tmp_path: Path, runs: dict[str, Path]
) -> None:
    out = tmp_path / "p.json"
    ran = cli("calibrate", runs["fit"], "-o", out, "--held-out", runs["slower"])
    assert ran.status == 1
    assert "FAILED" in ran.out
    assert "pages  1 VMA  8 VMA" in ran.out
    assert "split: unknown" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    assert not Machine.load(out).fit["held_out"]["passed"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--name", "no/slash"), "--name"),
        (("--kernel", "1.0"), "--kernel"),
        (("--threshold", "nan"), "--threshold"),
        (("--held-out", "/nonexistent"), "/nonexistent"),
        (("-o", "/nonexistent/p.json"), "no folder"),
        (("-o", "/"), "folder"),
    ],
)
def test_calibrate_refuses_before_it_works(
    cli: Cli, tmp_path: Path, runs: dict[str, Path], words: tuple[str, ...], said: str
) -> None:
    out = () if "-o" in words else ("-o", tmp_path / "p.json")
    refused(cli("calibrate", runs["fit"], *out, *words), said)
    assert list(tmp_path.iterdir()) == []


def test_a_file_cannot_be_held_out_and_fitted(
    cli: Cli, tmp_path: Path, runs: dict[str, Path]
) -> None:
    refused(cli("calibrate", runs["fit"], "-o", tmp_path / "p.json", "--held-out", runs["fit"]),
            "--held-out", "not held out")  # fmt: skip


def test_the_script_is_the_verb(tmp_path: Path, runs: dict[str, Path]) -> None:
    import subprocess
    import sys

    script = Path(__file__).parents[2] / "calibration" / "calibrate.py"
    ran = subprocess.run([sys.executable, script, runs["fit"], "-o", tmp_path / "no" / "p.json"],
                         capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert ran.returncode == 2
    assert "no folder" in ran.stderr


def test_machines_are_listed_and_shown(cli: Cli, machine: Machine) -> None:
    listed = cli("machine", "list", "--json").json
    assert machine.name in {m["name"] for m in listed}
    assert machine.name in cli("machine", "list").out
    shown = cli("machine", "show", machine.name, "--json").json
    assert shown["sha256"] == machine.sha256
    refused(cli("machine", "show", "nobody"), "there is no profile 'nobody'")


def test_figures_refuses_what_it_cannot_do(cli: Cli, tmp_path: Path) -> None:
    refused(cli("figures", "-o", tmp_path / "f", "--format", "gif"), "--format", "'gif'")
    refused(cli("figures", "-o", tmp_path / "f", "--data", "/nonexistent"), "/nonexistent")
    assert list(tmp_path.iterdir()) == []


def test_figures_are_written(cli: Cli, tmp_path: Path, runs: dict[str, Path], monkeypatch) -> None:
    from perfmodel import figures

    asked: list[object] = []

    def write_all(machine, table, *, directory, held_out, formats, only, progress, **_):
        assert table is not None
        assert held_out is None
        assert formats == ("svg",)
        asked.append(only)
        for share in (0, 50, 100):
            progress(f"first {share} %")
        directory.mkdir(exist_ok=True)
        manifest = {"figures": [{"name": "second", "files": [], "left_out": "no data"}]}
        (directory / "first.svg").write_text("<svg/>")
        (directory / "first.md").write_text("![a](first.svg)\n\n**Head.** A caption.\n")
        (directory / "MANIFEST.json").write_text(json.dumps(manifest))
        return [directory / "first.svg", directory / "first.md", directory / "MANIFEST.json"]

    monkeypatch.setattr(figures, "write_all", write_all)
    out = tmp_path / "f"
    ran = cli("figures", "-o", out, "--format", "svg", "--data", runs["fit"], "--json")
    assert ran.status == 0
    assert len(ran.json) == 3
    assert "not drawn: second: no data" in ran.err
    assert ran.err.count("first") == 2  # the stage once, and the machine's note
    assert asked == [None]
    ran = cli("report", "-o", tmp_path / "r.html", "--draws", 3, "--data", runs["fit"])
    assert ran.status == 0, ran.err
    assert "Figures" in (tmp_path / "r.md").read_text()
    assert "![Head. A caption.](r-figures/first.svg)" in (tmp_path / "r.md").read_text()
    assert 'src="r-figures/first.svg"' in (tmp_path / "r.html").read_text()
    assert "natural experiment" in (tmp_path / "r.md").read_text()


def test_report_is_written_twice(cli: Cli, tmp_path: Path, runs: dict[str, Path]) -> None:
    ran = cli("report", "-o", tmp_path / "r.md", "--no-figures", "--draws", 10, "--held-out",
              runs["held-out"], "--json")  # fmt: skip
    assert ran.status == 0, ran.err
    text, page = (tmp_path / "r.md").read_text(), (tmp_path / "r.html").read_text()
    for words in ("UNSAFE", "Break-evens", "Where the numbers come from", "Held-out check",
                  "assumed", "published"):  # fmt: skip
        assert words in text
        assert words in page
    refused(cli("report", "-o", tmp_path / "r.pdf"), "'.pdf'")


def test_measure_refuses_before_it_works(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("{}")
    refused(cli("measure", "-o", path), "run.json", "--force")
    refused(cli("measure", "-o", tmp_path / "new.json", "--group", "cals"), "--group", "'cals'")
    refused(cli("measure", "-o", tmp_path / "new.json", "--seed", "-1"), "--seed")
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("measured", [True, False])
def test_measure_tells_what_comes_next(
    cli: Cli, tmp_path: Path, monkeypatch, runs: dict[str, Path], measured: bool
) -> None:
    from perfmodel import measure

    def run(output, **options):
        assert options["groups"] == ["wake"]
        options["progress"]("wake", 0, 0)
        content = json.loads(runs["fit"].read_text())
        content["problems"] = [{"group": "wake", "what": "the floor is lava"}]
        if not measured:
            content["records"] = []
        Path(output).write_text(json.dumps(content))
        return Path(output)

    monkeypatch.setattr(measure, "run", run)
    ran = cli("measure", "-o", tmp_path / "my run.json", "--group", "wake")
    assert ran.status == (0 if measured else 1)
    assert "the floor is lava" in ran.out
    assert "measuring wake" in ran.err
    assert ("perfmodel calibrate '" in " ".join(ran.out.split())) == measured
    again = cli("measure", "-o", tmp_path / "b.json", "--group", "wake", "--json")
    assert again.json.keys() >= {"file", "status", "records", "noise", "problems", "next"}
