from __future__ import annotations

from perfmodel.breakeven import PARAMETERS, swept_quantity
from perfmodel.machine import CONSTANTS

from .conftest import Cli, refused


def test_help_names_everything_that_can_be_swept(cli: Cli, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "4000")
    text = cli("break-even", "--help").out
    over = next(line for line in text.splitlines() if "--over" in line and "PARAMETER" in line)
    for name in PARAMETERS:
        unit = swept_quantity(name).unit
        written = name.replace("_", "-") + ("" if unit in ("1", name) else f" ({unit})")
        assert f" {written}," in over or f" {written};" in over, written
    assert "writer-share" in over
    assert "shootdown (ns)" in over
    words = text.replace(";", ",").replace(".", ",")
    assert all(f" {name.replace('_', '-')}," in words for name in CONSTANTS)


def test_shootdown_of_the_mails_case(cli: Cli) -> None:
    words = ("break-even", "--preset", "mail", "--over", "shootdown", "--policy", "last-vma",
             "--points", 5, "--draws", 20)  # fmt: skip
    ran = cli(*words, "--json")
    assert ran.status == 0
    assert (ran.json["over"], ran.json["unit"], ran.json["answer"]) == ("shootdown", "ns", "always")
    assert any("no other CPU" in note for note in ran.json["notes"])
    ran = cli(*words, "--fault-rate", 20, "--remote-cpus", 1)
    assert ran.status == 0
    assert "Closed form (break_even_pages): shootdown = " in ran.out
    assert "draws that have it" in ran.out


def test_writer_share_of_the_mails_case(cli: Cli) -> None:
    ran = cli("break-even", "--preset", "mail", "--over", "writer-share", "--policy", "last-vma",
              "--points", 5, "--draws", 20, "--json")  # fmt: skip
    assert ran.status == 0
    assert (ran.json["over"], ran.json["unit"]) == ("writer_share", "1")
    assert ran.json["closed_form"] is None
    assert 0 < ran.json["range"][0] < ran.json["range"][1] < 1


def test_a_name_that_is_nearly_right(cli: Cli) -> None:
    refused(cli("break-even", "--over", "fault-rates"), "--over: cannot sweep", "fault_rate")
