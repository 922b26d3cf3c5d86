from __future__ import annotations

import json
from typing import Any

import pytest

from perfmodel.cli.safety import command
from perfmodel.errors import InputError


def _run(capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    command(**options)
    return capsys.readouterr().out


def _json(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    return json.loads(_run(capsys, as_json=True, **options))


def test_the_table_names_who_breaks_a_cut(capsys: pytest.CaptureFixture[str]) -> None:
    out = _run(capsys, call="mprotect", policy="last-vma,before-flush", transition="RW->R")
    rows = [line.split() for line in out.splitlines()]
    assert ["transition", "cut", "from", "5.10", "from", "5.19"] in rows
    assert ["RW->R", "last-vma", "forced-write;", "dontneed", "safe"] in rows
    assert ["RW->R", "before-flush", "forced-write", "safe"] in rows
    assert "explored to the end" in out and "Scope:" in out
    assert max(map(len, out.splitlines())) <= 100


def test_json_has_every_cell_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, kernel="5.14", call="mprotect", guard="all", entry="base")
    assert found["schema"] == "perfmodel.safety/1"
    assert {c["since"] for c in found["cells"]} == {"5.12"}
    assert {c["guard"] for c in found["cells"]} > {"none", "mark", "generation"}
    for cell in found["cells"]:
        assert cell["safe"] is not bool(cell["broken_by"])
        assert cell["states"] > 0 and cell["moves"] > 0 and cell["explorations"] > 0
    everything = _json(capsys, everything=True)
    assert len(everything["cells"]) > 1000
    assert {c["entry"] for c in everything["cells"]} == {"base", "huge", "empty"}


def test_explain_prints_the_shortest_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"kernel": "5.11", "call": "mprotect", "policy": "before-flush", "transition": "RW->R"}
    # However wide the terminal is.
    out = " ".join(_run(capsys, explain=True, **asked).split())
    assert "copies page A to page B without holding the page-table lock" in out
    assert "A completed store is not in the page that is mapped: it is lost." in out
    (told,) = _json(capsys, explain=True, **asked)["explained"]
    assert told["by"] == ["forced-write"] and told["invariant"] == "lost-store"
    assert len(told["schedule"]) == 13


def test_explain_tells_what_a_safe_cell_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"kernel": "5.19", "call": "uffd", "entry": "huge", "policy": "read-only"}
    (told,) = _json(capsys, explain=True, **asked)["explained"]
    assert "uffd_mark" in {r["rule"] for r in told["rests_on"]}
    assert "handle_userfault" in _run(capsys, explain=True, **asked)
    alone = _run(capsys, kernel="5.19", call="munmap", entry="huge", explain=True)
    assert "rests on the locks alone" in alone


def test_an_actor_restricts_the_table_and_the_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, actor="dontneed", transition="R->NONE", explain=True)
    assert {c["transition"] for c in found["cells"]} == {"R->NONE"}
    assert all(any("dontneed" in b["actors"] for b in c["broken_by"]) for c in found["cells"])
    assert "dontneed" in found["explained"][0]["by"]


def test_per_vma_locks_keep_the_write_lock(capsys: pytest.CaptureFixture[str]) -> None:
    cells = _json(capsys, policy="per-vma", call="mprotect")["cells"]
    assert {c["policy"] for c in cells} == {"none"} and all(c["safe"] for c in cells)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"kernel": "four"}, "--kernel"),
        ({"kernel": "4.4"}, "--kernel"),
        ({"call": "brk"}, "--call"),
        ({"policy": "maybe"}, "--policy"),
        ({"transition": "RW"}, "--transition"),
        ({"entry": "giant"}, "--entry"),
        ({"guard": "hope"}, "--guard"),
        ({"actor": "nobody"}, "--actor"),
        ({"actor": "fork"}, "--actor"),
        ({"call": "uffd", "transition": "R->RW"}, "--transition"),
    ],
)
def test_bad_input_is_refused_with_what_would_be_right(options: dict, names: str) -> None:
    with pytest.raises(InputError, match=names) as caught:
        command(**options)
    assert caught.value.expected
