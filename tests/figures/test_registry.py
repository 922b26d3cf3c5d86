"""The list of the write-up's figures, the gallery made of it, and what is drawn without being told."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import perfmodel as pm
from perfmodel.errors import InputError
from perfmodel.figures import EVERY, FAILURES, FIGURES, WRITE_UP, Inputs, figure
from perfmodel.figures.recorded import held_out_run
from perfmodel.report.gallery import lines_for

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "calibration"))

import gallery  # noqa: E402

#: Those whose two lines take less than a second.
CHEAP = ("who_breaks", "shootdown", "cost_of_blocking", "fault_latencies")


def test_every_figure_is_listed_once_and_asks_something() -> None:
    names = [k.name for k in EVERY]
    assert len(set(names)) == len(names)
    assert set(WRITE_UP) | set(FAILURES) == set(EVERY)
    assert set(FIGURES) <= set(WRITE_UP)
    for kind in EVERY:
        assert kind.question.endswith("?")
    assert len({k.question for k in EVERY}) == len(names)
    assert figure("eras") in WRITE_UP
    with pytest.raises(InputError, match="pie"):
        figure("pie")


def test_every_claim_of_the_thread_has_a_figure() -> None:
    claims = set(re.findall(r"^\| (C\d|2006):", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert claims
    assert {name for kind in WRITE_UP for name in kind.claims} == claims


def test_the_gallery_is_what_its_generator_makes() -> None:
    text = gallery.PAGE.read_text()
    captions = gallery.captions_of(text)
    assert gallery.page(captions) == text
    assert set(captions) == {k.name for k in EVERY}
    for target in re.findall(r"\]\(([^)]+\.png)\)", text):
        assert (gallery.PAGE.parent / target).is_file(), target


@pytest.mark.parametrize("name", CHEAP)
def test_the_two_lines_of_the_gallery_draw(name: str, table: pm.ObservationTable) -> None:
    lines = lines_for(figure(name)).splitlines()
    assert len(lines) == 2
    names = {"figure": figure, "inputs": Inputs(pm.Machine.load("xeon-vm-6.18"), table)}
    exec(lines[0], names)  # noqa: S102 - the page's own lines
    drawn = eval(lines[1], names)  # noqa: S307
    assert drawn.png.startswith(b"\x89PNG")
    assert drawn.caption == figure(name).caption(figure(name).build(names["inputs"]))


def test_the_page_and_its_captions_are_those_of_the_figures() -> None:
    captions = gallery.captions_of(gallery.PAGE.read_text())
    kind = figure("who_breaks")
    spec = kind.build(Inputs(pm.Machine.load("xeon-vm-6.18")))
    assert " ".join(captions["who_breaks"].split()) == f"{kind.title(spec)}. {kind.caption(spec)}"


def test_the_shipped_machine_brings_the_run_it_was_not_fitted_to(blind: pm.Machine) -> None:
    from dataclasses import replace

    machine = pm.Machine.load("xeon-vm-6.18")
    run, trace = held_out_run(machine)
    assert (run.name, trace.name) == ("run-2.json", "run-2.json.trace.txt.gz")
    assert held_out_run(replace(machine, name="nobody")) == []
    # A profile of another machine that has the same name.
    assert held_out_run(replace(machine, inputs=())) == []
