"""Formats are told from content; what cannot be read is refused with its reason."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from perfmodel.errors import InputError
from perfmodel.readers import READERS, read, sniff

from .conftest import TraceWriter


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("opt-raw.txt", "'raw'"),
        ("opt-hex.txt", "'hex'"),
        ("opt-bin.txt", "'bin'"),
        ("opt-nocontext-info.txt", "'nocontext-info'"),
        ("perf-script-no-time.txt", "without the time"),
        ("README.md", "no known format"),
    ],
)
def test_refused_files(traces: Path, name: str, reason: str) -> None:
    for attempt in (sniff, read):
        with pytest.raises(InputError, match=reason) as error:
            attempt(traces / name)
        assert name in str(error.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n\0", "PNG"),
        (b"\0\1\2\3", "binary"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"hello\n", "no format is near"),
        (b"\n\nhello mmap_lock_\n", "the nearest is .*hello"),
        (b'{"schema": "other"}', "nearest is bench_json"),
        (b"mmap_lock_released: mm=0a memcg_id=1 write=true\n", "nocontext-info"),
        (b"# tracer: nop\n#\n mmap_lock_released: mm=0a memcg_id=1 write=true\n", "nocontext"),
        (b"# tracer: nop\nnothing\nat all\n", "no line of it is a trace event"),
    ],
)
def test_refused_content(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as error:
        read(path)
    assert error.value.file == str(path)
    assert "\n" not in str(error.value)


def test_cut_gzip(traces: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes((traces / "report-whole.txt.gz").read_bytes()[:9000])
    with pytest.raises(InputError, match="damaged or cut"):
        read(path)


@pytest.mark.parametrize("name", ["absent", "", "a\0b", "x" * 5000])
def test_no_such_file(name: str) -> None:
    with pytest.raises(InputError):
        read(name)


def test_nothing_named() -> None:
    with pytest.raises(InputError, match="no file"):
        read([])


def test_the_name_of_a_file_does_not_matter(traces: Path, tmp_path: Path) -> None:
    packed = tmp_path / "picture.png"
    packed.write_bytes(gzip.compress((traces / "clock-mono.txt").read_bytes()))
    assert sniff(packed) == "ftrace"
    assert read(packed).reports[0].events == 549


def test_directory(traces: Path, tmp_path: Path) -> None:
    for name in ("clock-mono.txt", "report-raw-ns.txt", "README.md", "opt-raw.txt"):
        shutil.copy(traces / name, tmp_path)
    (tmp_path / ".run.json.part").write_text("{")
    (tmp_path / "deeper").mkdir()
    shutil.copy(traces / "report-us.txt", tmp_path / "deeper")
    table = read([tmp_path, tmp_path / "clock-mono.txt"])
    formats = [(Path(r.file).name, r.format) for r in table.reports]
    assert formats == [
        (".run.json.part", "unknown"),
        ("README.md", "unknown"),
        ("clock-mono.txt", "ftrace"),
        ("opt-raw.txt", "unknown"),
        ("report-raw-ns.txt", "trace_cmd"),
        ("clock-mono.txt", "unknown"),
    ]
    assert "read once" in table.reports[-1].warnings[0]
    assert all(r.warnings for r in table.reports if r.format == "unknown")


def test_directory_with_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the 0 files"):
        read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    path = TraceWriter().hold().save(tmp_path)
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        read(path)


def test_names_are_unique() -> None:
    assert len({r.name for r in READERS}) == len(READERS)
