"""Binary recordings through the programs that wrote them, real ones and stand-ins."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perfmodel.errors import InputError
from perfmodel.readers import read, sniff

MAGIC = b"\x17\x08\x44tracing7\0"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Put a program before all others on the PATH that does what is asked in Python."""

    def make(name: str, body: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / name
        program.write_text(f"#!{sys.executable}\nimport os, signal, sys\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return make


def recording(tmp_path: Path, magic: bytes = MAGIC, name: str = "-trace.dat") -> Path:
    path = tmp_path / name
    path.write_bytes(magic + bytes(500))
    return path


def test_what_the_program_prints_is_read(tmp_path: Path, traces: Path, stand_in) -> None:  # type: ignore[no-untyped-def]
    text = traces / "report-no-plugins-ns.txt"
    stand_in(
        "trace-cmd",
        f"assert sys.argv[1:-1] == ['report', '-t', '-N', '-i'], sys.argv\n"
        f"assert open(sys.argv[-1], 'rb').read(10) == {MAGIC[:10]!r}\n"
        f"sys.stdout.write(open({str(text)!r}).read())\n"
        f"sys.stderr.write('Warning:\\nodd clock\\n')",
    )
    path = recording(tmp_path)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    expected = read(text)
    for one in (path, packed):
        assert sniff(one) == "trace_dat"
        shares: list[float] = []
        table = read(one, progress=shares.append)
        assert shares[-1] == 1.0
        report = table.reports[0]
        assert (report.format, report.evidence, report.events) == ("trace_dat", "A", 135)
        assert report.warnings == ("trace-cmd says: 'odd clock'",)
        for a, b in zip(table.groups, expected.groups, strict=True):
            assert a.low.tolist() == b.low.tolist()
            assert a.source.file == str(one)


FAILURES = {
    "nothing": ("pass", "printed nothing and said: nothing"),
    "status": ("print('cpus=2'); sys.exit('bad header')", "ended with status 1 .*bad header"),
    "signal": ("print('cpus=2', flush=True); os.kill(os.getpid(), 9)", "ended by signal 9"),
    "words": ("sys.stderr.write('no such\\x1b[0m option\\n'); sys.exit(129)", "129.*no such"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failing_conversion_is_an_error(tmp_path: Path, stand_in, case: str) -> None:  # type: ignore[no-untyped-def]
    body, words = FAILURES[case]
    stand_in("trace-cmd", body)
    with pytest.raises(InputError, match=words) as error:
        read(recording(tmp_path))
    assert error.value.file == str(tmp_path / "-trace.dat")
    assert "\x1b" not in str(error.value)


def test_events_before_a_failure_are_not_used(tmp_path: Path, traces: Path, stand_in) -> None:  # type: ignore[no-untyped-def]
    text = str(traces / "report-no-plugins-ns.txt")
    stand_in("trace-cmd", f"print(open({text!r}).read()[:9000], flush=True); sys.exit(3)")
    with pytest.raises(InputError, match="status 3"):
        read(recording(tmp_path))


def test_the_program_is_ended_with_the_reading(tmp_path: Path, stand_in) -> None:  # type: ignore[no-untyped-def]
    stand_in("trace-cmd", "\nwhile True: print('00002787 00000000 000000f439039c89 type: 677')")
    with pytest.raises(InputError, match="'hex'"):
        read(recording(tmp_path))


@pytest.mark.parametrize(
    ("magic", "words"),
    [(MAGIC, "trace-cmd, which is not installed.*trace-cmd report -t -N -i FILE > FILE.txt"),
     (b"PERFILE2", "perf, which is not installed.*perf script --ns"),
     (b"2ELIFREP", "linux-perf or linux-tools")],
)  # fmt: skip
def test_without_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, magic: bytes, words: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=words):
        read(recording(tmp_path, magic))


def test_a_program_that_cannot_be_run(tmp_path: Path, stand_in) -> None:  # type: ignore[no-untyped-def]
    stand_in("perf", "")
    (tmp_path / "bin" / "perf").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(InputError, match="cannot be run"):
        read(recording(tmp_path, b"PERFILE2"))


def works(program: str, *arguments: str) -> bool:
    found = shutil.which(program)
    return (
        bool(found) and subprocess.run([program, *arguments], capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not works("perf", "version"), reason="perf is not installed")
def test_a_real_perf_data(traces: Path, tmp_path: Path) -> None:
    table = read(traces / "perf.data")
    report = table.reports[0]
    found = (
        report.format,
        report.evidence,
        report.events,
        report.holds_exclusive,
        report.downgrades,
    )
    assert found == ("perf_data", "A", 154, 41, 1)
    cut = tmp_path / "cut"
    cut.write_bytes((traces / "perf.data").read_bytes()[:15000])
    with pytest.raises(InputError, match=r"incompatible|ended"):
        read(cut)


@pytest.mark.skipif(shutil.which("trace-cmd") is None, reason="trace-cmd is not installed")
def test_a_cut_trace_dat(traces: Path) -> None:
    assert sniff(traces / "trace.dat.head") == "trace_dat"
    with pytest.raises(InputError, match="could not be turned into text"):
        read(traces / "trace.dat.head")
