"""The claims that rest on the recorded run: what is kept is what the models say, and the signs."""

from __future__ import annotations

import pytest

from perfmodel.counterfactual import (
    Constants,
    Predicted,
    Run,
    compare_run,
    kept,
    load,
    predict_one,
    recorded,
    score,
)
from perfmodel.counterfactual.predicted import beside

RUNS = recorded()

pytestmark = [
    pytest.mark.xdist_group("recorded"),
    pytest.mark.skipif(not RUNS, reason="no run of the counterfactual is recorded"),
]


@pytest.fixture(scope="module", params=RUNS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def both(request: pytest.FixtureRequest) -> tuple[Run, tuple[Predicted, ...]]:
    run = load(request.param)
    return run, kept(request.param, run)


def test_the_run_is_large_and_its_predictions_are_its_own(
    both: tuple[Run, tuple[Predicted, ...]],
) -> None:
    run, predicted = both
    assert len(run.records) >= 100
    assert [p.number for p in predicted] == [r.configuration.number for r in run.records]
    assert run.machine["cpu"]["usable"] >= 2


def test_what_is_kept_is_what_the_models_say_now(
    both: tuple[Run, tuple[Predicted, ...]],
) -> None:
    run, predicted = both
    constants = Constants.of(run)
    # Every ninth, so that each group has some; the simulations are seeded.
    for record, before in list(zip(run.records, predicted, strict=True))[::9]:
        now = predict_one(record.configuration, constants, run.cpus, kernel=False)
        name = record.configuration.name
        assert now.throughput == pytest.approx(before.throughput, rel=0.02, abs=2e-4), name
        assert now.wait == pytest.approx(before.wait, rel=0.02, abs=5.0), name


def test_signs_are_foretold_where_they_can_be_seen(
    both: tuple[Run, tuple[Predicted, ...]],
) -> None:
    run, predicted = both
    comparisons = compare_run(run, predicted)
    # Where threads share CPUs the scheduler's slices make the waits longer than the models know.
    apart = [c for c in comparisons if c.configuration.group in ("own-cpu", "asleep")]
    for name in ("throughput", "wait"):
        found = score(apart, name)
        assert found.significant >= 20
        assert found.right >= 0.9 * found.significant
        assert 0.5 < found.ratio_median < 2.0
        everything = score(comparisons, name)
        assert everything.right >= 0.8 * everything.significant


def test_there_is_one_file_of_predictions_a_run() -> None:
    for path in RUNS:
        assert beside(path).is_file()
