"""What the document says: its numbers are the models', its references lead somewhere."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from perfmodel.claims import ClaimTable
from perfmodel.experiment import recorded, score
from perfmodel.figures import WRITE_UP
from perfmodel.machine import Machine
from perfmodel.prediction import predict
from perfmodel.presets import PRESETS
from perfmodel.report.blocks import Bullets, Heading, Picture, Table, Text, plain
from perfmodel.report.experiment import overloaded
from perfmodel.report.markdown import to_markdown
from perfmodel.report.numbers import gain_text
from perfmodel.scenario import Policy, Scenario
from perfmodel.writeup import Document, compose, material
from perfmodel.writeup.material import Material, recorded_runs, shortened
from perfmodel.writeup.numbering import numbered, ref
from perfmodel.writeup.sections import SECTIONS, answer, eras

pytestmark = pytest.mark.xdist_group("write-up")


def texts(document: Document) -> str:
    return to_markdown(document.blocks)


def table(document: Document, words: str) -> Table:
    return next(b for b in document.blocks if isinstance(b, Table) and words in b.caption)


def test_the_summary_says_what_predict_says(document: Document, machine: Machine) -> None:
    summary = next(b for b in document.blocks if isinstance(b, Bullets))
    for i, name in enumerate(("mail", "large")):
        found = predict(Scenario.from_dict(PRESETS[name].parameters, machine=machine), draws=20)
        best = found[Policy(found.verdict.policy)]
        assert gain_text(*best.interval()).replace(" us", " µs") in summary.items[i]


def test_the_summary_follows_another_machine(machine: Machine) -> None:
    slower = replace(machine, constants={
        n: type(c)(value=None if c.value is None else 3 * c.value, unit=c.unit, source=c.source, reason=c.reason)
        for n, c in machine.constants.items()
    })  # fmt: skip
    said = [
        next(b for b in answer.blocks(Material(m, draws=5)) if isinstance(b, Bullets)).items[0]
        for m in (machine, slower)
    ]
    assert said[0] != said[1]


def test_the_claims_are_those_of_the_models(document: Document, claims: ClaimTable) -> None:
    rows = table(document, "claims of December 2020").rows
    for row, claim in zip(rows, claims.claims, strict=True):
        assert (plain(row[0]), plain(row[1])) == (claim.name, claim.verdict)


def test_every_release_at_which_a_rule_changed_is_asked(document: Document) -> None:
    asked = [plain(row[0]) for row in table(document, "blocked and mean wait").rows]
    assert asked == [f"{n}, {r}" for n in ("mail", "large") for r in eras.releases()]
    assert {"5.10", "5.11", "5.19", "6.4", "6.18"} <= set(eras.releases())


def test_figures_and_tables_are_numbered_as_they_stand(document: Document) -> None:
    for kind, name in ((Picture, "Figure"), (Table, "Table")):
        labels = [b.label for b in document.blocks if isinstance(b, kind) and b.label]
        assert labels == [f"{name} {i}" for i in range(1, len(labels) + 1)]
        assert labels


def test_what_a_text_speaks_of_is_there(document: Document) -> None:
    said = texts(document)
    labels = {b.label for b in document.blocks if isinstance(b, (Picture, Table))}
    assert set(re.findall(r"\b(?:Figure|Table) \d+", said)) <= labels
    assert not re.search("[\ue000-\uf8ff]", said)


def test_without_a_run_it_says_so(document: Document) -> None:
    assert "No such run was given" in texts(document)
    assert "Nothing here was held against a separate run" in texts(document)


def test_all_figures_are_shown_or_asked_about(document: Document) -> None:
    said = texts(document)
    assert document.figures
    assert all(k.name in document.figures or k.name in said for k in WRITE_UP)


def test_no_unknown_value_is_printed(document: Document) -> None:
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b(?! of them)", texts(document))


def test_a_figure_that_cannot_be_drawn_is_left_out_with_its_reason(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "draw", lambda *_: "nothing was measured")
    made = Material(machine)
    assert made.figure("hold_phases") == []
    assert made.missing == {"hold_phases": "nothing was measured"}


def test_a_figure_draws_what_its_section_says(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    monkeypatch.setattr(
        material, "draw", lambda kind, inputs: drawn.update({kind.name: inputs}) or "-"
    )
    made = Material(machine)
    found, read = object(), object()
    made.__dict__.update(validation=found, experiment=read)
    for name in ("validation", "kernel_experiment", "eras"):
        made.figure(name)
    assert drawn["validation"].validation is found
    assert drawn["kernel_experiment"].experiment is read
    assert (drawn["eras"].validation, drawn["eras"].experiment) == (None, None)


def test_shipped_runs_that_were_fitted_to_are_no_check(machine: Machine) -> None:
    runs = recorded_runs(machine)
    fitted = {f.file.rpartition("/")[2] for f in machine.inputs}
    assert runs
    assert not {r.name for r in runs} & fitted
    assert recorded_runs(replace(machine, name="nobody")) == ()


def test_a_section_is_one_function(machine: Machine) -> None:
    def own(_: Material) -> list[Heading | Text]:
        return [Heading("Mine"), Text("1 us and more")]

    made = compose(machine, sections=[own])
    assert [b.text for b in made.blocks] == ["Mine", "1 µs and more"]
    assert len(SECTIONS) == len(set(SECTIONS))


def test_numbers_follow_the_order_and_references_precede_them() -> None:
    made = numbered([
        Text(f"See {ref('figure', 'b')} and {ref('table', 't')} {ref('source', 's')}."),
        Picture("a.svg", "", label=ref("figure", "a")), Picture("b.svg", "", label=ref("figure", "b")),
        Table([], [], "", ref("table", "t")), Bullets([f"{ref('source', 's')} mail"]),
    ])  # fmt: skip
    assert made[0] == Text("See Figure 2 and Table 1 [1].")
    assert made[4] == Bullets(["[1] mail"])


def test_a_reference_to_nothing_and_a_name_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="not shown"):
        numbered([Text(ref("figure", "x"))])
    with pytest.raises(ValueError, match="two things"):
        numbered([Picture("a", "", label=ref("figure", "x"))] * 2)


def test_a_caption_is_cut_between_sentences_and_keeps_its_evidence() -> None:
    long = f"One 0.5 thing. {'Two. ' * 200}Evidence: measured: here."
    cut = shortened(long, most=60)
    assert cut.startswith("One 0.5 thing. Two.")
    assert cut.endswith("Two. Evidence: measured: here.")
    assert len(cut) < 100


def test_the_experiment_is_called_emulated_and_says_what_failed(document: Document) -> None:
    said = texts(document)
    start = said.index("## The experiment")
    section = said[start : said.index("\n## ", start)]
    found = recorded()
    assert found.evidence in section
    assert found.prediction.sha256[:12] in section
    beside = score(r for r in found.rows if r.cut != "none" and overloaded(r, found))
    assert f"right in {beside.right} of {beside.significant}" in section
    lost = sum(r.reproduced for r in found.races if r.rule)
    assert f"finds the cut safe, {lost}." in section


def test_every_figure_that_is_shown_is_spoken_of(document: Document) -> None:
    pictures = [b for b in document.blocks if isinstance(b, Picture)]
    # Without a run those that need one are left out.
    assert len(pictures) >= 12
    words = to_markdown([b for b in document.blocks if isinstance(b, (Text, Bullets))])
    assert [p.label for p in pictures if not re.search(rf"\b{p.label}\b", words)] == []
