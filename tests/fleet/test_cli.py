from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfmodel.cli import main
from perfmodel.machine import Machine

ASKED = ("--preset", "mail", "--policy", "last-vma", "--draws", "20")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main([str(w) for w in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_each_evidence_has_its_table(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    emulated = machine.to_bytes().replace(b'"evidence": "measured"', b'"evidence": "emulated"')
    (tmp_path / "guest.json").write_bytes(emulated.replace(b'"xeon-vm-6.18"', b'"guest"', 1))
    (tmp_path / "bad.json").write_text("[")
    status, out, err = run(capsys, "compare", "laptop", "xeon-vm-6.18", tmp_path, *ASKED,
                           "--over", "fault-rate=10:1e6:log9")  # fmt: skip
    assert (status, err) == (0, "")
    places = [out.index(w) for w in ("Measured:", " xeon-vm-6.18", "Published: composite", " laptop",
                                     "Emulated: measured in an emulated guest", " guest")]  # fmt: skip
    assert places == sorted(places)
    # Nobody may have it: the gain stands in brackets, and what it would be is said.
    assert "unsafe (else: lost in the noise)" in out
    assert "(+1.6 us" in out
    assert "above 1" in out
    assert "1 that cannot be read as a profile" in out
    assert f"{tmp_path / 'bad.json'}" in out.replace("\n", "")
    assert "first shipped profile" not in err


@pytest.mark.parametrize("suffix", ["parquet", "json", "md", "html"])
def test_all_rows_go_where_the_suffix_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="the sweep extra is not installed")
    path = tmp_path / f"found.{suffix}"
    words = ("compare", "laptop", "arm-phone", *ASKED, "-o", path)
    status, out, err = run(capsys, *words)
    assert (status, out) == (0, "")
    assert f"written: {path}" in err
    assert run(capsys, *words)[0] == 2
    assert run(capsys, *words, "--force")[0] == 0
    if suffix == "parquet":
        status, out, _ = run(capsys, "compare", path, *ASKED, "--json")
        again = json.loads(out)
        assert {p["source"] for p in again["profiles"]} == {f"{path}, row {i}" for i in (0, 1)}
        path = tmp_path / "again.json"
        path.write_text(out)
    text = path.read_text()
    assert "laptop" in text and "arm-phone" in text
    if path.suffix == ".json":
        found = json.loads(text)
        assert found["schema"] == "perfmodel.comparison/1"
        assert [p["rank"] for p in found["profiles"]] == [1, 2]
        assert {p["evidence"] for p in found["profiles"]} == {"published"}
        assert found["damaged"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", *ASKED), "nowhere: machine: there is no profile"),
        (("laptop", "--machine", "laptop"), "--machine: the profiles are the machines"),
        (("laptop", "--over", "page"), "--over: cannot sweep 'page'"),
        (("laptop", "-o", "found.xls"), "is no table"),
        (("laptop", "--top", "0"), "--top: 0 is out of range"),
        ((), "Missing argument"),
    ],
)
def test_bad_input_is_one_paragraph(
    capsys: pytest.CaptureFixture[str], words: tuple, said: str
) -> None:
    status, out, err = run(capsys, "compare", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert err.splitlines()[-1].startswith("perfmodel: error: ")
