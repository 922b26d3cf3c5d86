"""Scores, what is kept beside a run, and the text."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from perfmodel.counterfactual import (
    Comparison,
    Constants,
    Predicted,
    Run,
    compare_run,
    keep,
    kept,
    load,
    predict_one,
    predict_run,
    score,
    turns,
)
from perfmodel.counterfactual.__main__ import main
from perfmodel.counterfactual.text import as_json, as_text
from perfmodel.errors import InputError

from .made import document, pairs, record_of


def forecast(number: int, gain: float, wait: float) -> Predicted:
    return Predicted(
        number=number, solver="made up", reads_0=1000.0, reads_1=1000.0 * (1 + gain), blocked_0=0.1,
        blocked_1=0.05, wait_0=10_000.0, wait_1=10_000.0 + wait, calls_0=1.0, calls_1=1.0,
        kernel_reads_0=1000.0, kernel_reads_1=900.0, kernel_wait_0=1.0, kernel_wait_1=2.0,
    )  # fmt: skip


@pytest.fixture
def comparisons(run: Run) -> tuple[Comparison, ...]:
    # Measured: +19 %, and 617 ns less.
    gains = (0.19, 0.38, -0.05, 0.095)
    numbers = [r.configuration.number for r in run.records]
    made = [forecast(n, g, -617.0) for n, g in zip(numbers, gains, strict=True)]
    return compare_run(run, made)


def test_hits_and_misses_are_counted(comparisons: tuple[Comparison, ...]) -> None:
    assert [c.hit("throughput") for c in comparisons] == [True, True, False, True]
    assert [c.hit("throughput", "kernel") for c in comparisons] == [False] * 4
    found = score(comparisons, "throughput")
    assert (found.count, found.significant, found.right, found.disturbed) == (4, 4, 3, 0)
    # Of the three right ones: as measured, twice, half.
    assert found.error_median == pytest.approx(2.0, rel=0.02)
    assert found.ratio_median == pytest.approx(0.75, rel=0.02)
    assert score(comparisons, "wait").right == 4
    assert score(comparisons, "wait").error_median == pytest.approx(1.0, rel=0.02)


def test_nothing_is_said_of_what_noise_hides(run_file: Path, some: tuple) -> None:
    records = [record_of(c, pairs((1000, 1000), (5, 5))) for c in some]
    run_file.write_text(json.dumps(document(records)))
    run = load(run_file)
    made = [forecast(r.configuration.number, 0.5, -1.0) for r in run.records]
    found = score(compare_run(run, made), "throughput")
    assert found.significant == found.right == 0
    assert math.isnan(found.error_median)
    assert all(c.hit("throughput") is None for c in compare_run(run, made))


def test_misses_are_in_the_text_and_everything_is_in_the_json(
    run: Run, comparisons: tuple[Comparison, ...]
) -> None:
    text = as_text(run, comparisons)
    (missed,) = [c for c in comparisons if c.hit("throughput") is False]
    assert f"MISS  {missed.configuration.name}" in text
    assert "sign right 3 of 4 beyond noise" in text
    assert text.count("hit ") == 0
    assert as_text(run, comparisons, everything=True).count("hit ") == 7
    told = json.loads(as_json(run, comparisons))
    assert told["scores"]["throughput"]["product"]["right"] == 3
    assert len(told["configurations"]) == 4
    assert told["run"]["sha256"] == run.sha256


def test_short_turns_are_compared_with_the_same_configuration(
    comparisons: tuple[Comparison, ...],
) -> None:
    by = {c.configuration.group: c for c in comparisons}
    usual, again = by["few-cpus"], by["short-slices"]
    # The first of the repeated ones is the first of the group.
    count, longer, short = turns(comparisons)
    assert count == 1
    assert longer == pytest.approx(usual.measured.wait_ns[0] / usual.predicted.wait_0)
    assert short == pytest.approx(again.measured.wait_ns[0] / again.predicted.wait_0)
    alone = turns([c for c in comparisons if c is not usual])
    assert alone[0] == 0
    assert math.isnan(alone[1])


def test_predictions_are_kept_beside_their_run(run: Run, run_file: Path) -> None:
    predicted = predict_run(run, kernel=False)
    keep(predicted, run, run_file)
    again = kept(run_file, run)
    for one, other in zip(predicted, again, strict=True):
        assert (one.number, one.solver) == (other.number, other.solver)
        assert other.throughput == pytest.approx(one.throughput, abs=1e-7)
        assert math.isnan(other.kernel_reads_0)
    changed = Run(**{f: getattr(run, f) for f in run.__struct_fields__} | {"sha256": "0" * 64})
    with pytest.raises(InputError, match="of another run"):
        kept(run_file, changed)


@pytest.mark.parametrize("text", ["", "# x\n", "number\n1\n"])
def test_damaged_predictions_are_refused(run: Run, run_file: Path, text: str) -> None:
    run_file.with_name("downgrade-1.predicted.csv").write_text(text)
    with pytest.raises(InputError):
        kept(run_file, run)
    head = f"# predictions for x sha256={run.sha256}\n"
    run_file.with_name("downgrade-1.predicted.csv").write_text(head + "number,solver\n1,x\n")
    with pytest.raises(InputError, match="damaged"):
        kept(run_file, run)


def test_a_downgrade_is_predicted_to_help_who_waits(run: Run) -> None:
    constants = Constants.of(run)
    one = run.records[0].configuration
    long = replace(one, exclusive_ns=1_000, shared_ns=200_000, call_law="constant",
                   read_law="exponential", read_think_ns=10_000, write_think_ns=200_000)  # fmt: skip
    found = predict_one(long, constants, 2)
    # Half of the time the reader is shut out, but for the downgrade.
    assert found.throughput > 0.3
    assert found.wait < 0
    assert found.blocked_1 < found.blocked_0
    # With these laws and one caller the two simulations answer the same question, nearly.
    assert found.kernel_throughput == pytest.approx(found.throughput, rel=0.25)


def test_the_verb_compares_and_keeps(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(run_file)]) == 0
    said = capsys.readouterr().out
    assert "sign right" in said
    assert "Kept: " in said
    assert kept(run_file, load(run_file))
    assert main(["compare", str(run_file.with_name("none.json"))]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["record", str(run_file)]) == 2
    assert "the file exists" in capsys.readouterr().err
