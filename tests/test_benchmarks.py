"""The benches compare like with like, and the page says what they measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parents[1] / "calibration" / "benchmarks"
pytestmark = pytest.mark.xdist_group("benchmarks")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a bench as its own directory does, and forget it again."""
    monkeypatch.syspath_prepend(str(HERE))
    known = set(sys.modules)

    def take(name: str) -> ModuleType:
        return __import__(name)

    yield take
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(HERE)):
            del sys.modules[name]


def test_the_page_says_what_was_measured(bench: Any) -> None:
    shown = bench("shown")
    assert shown.check()


def test_a_page_that_says_otherwise_is_found(bench: Any, tmp_path: Path) -> None:
    shown = bench("shown")
    page = tmp_path / "page.md"
    results = json.loads(shown.RESULTS.read_text())
    first = f"{results['comparisons'][0]['rounds']} |"
    page.write_text(shown.PAGE.read_text().replace(first, "99 |", 1))
    assert not shown.check(page)


def test_results_are_ratios_with_their_spread_and_the_machine(bench: Any) -> None:
    results = json.loads(bench("shown").RESULTS.read_text())
    state = results["state"]
    for name in ("cpu", "cpus", "load_average", "steal_ticks_during", "commit", "packages"):
        assert name in state
    assert state["seconds"] < 600
    assert {c["section"] for c in results["comparisons"]} == {
        "prediction", "equal error", "simulation", "queue", "trace", "start",
    }  # fmt: skip
    for one in results["comparisons"]:
        assert one["rounds"] >= 3
        ratio = one["ratio"]
        assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
    for one in results["growth"]:
        sizes = [row["size"] for row in one["rows"]]
        assert max(sizes) >= 1000 * min(sizes)


def test_the_kernel_written_by_hand_gives_the_same_numbers(bench: Any) -> None:
    pytest.importorskip("numba")
    predictions, sweep = bench("predictions"), bench("sweep")
    from perfmodel.sweeping.evaluate import evaluate

    for region in predictions.REGIONS:
        plan = sweep.planned(predictions.question(), region, 4_000)
        found = evaluate(plan, plan.block(0), loop=True)
        by_hand = predictions.hand(plan, predictions.question())
        assert predictions.difference(found, by_hand) < 1e-8
        by_hand[4][5, 0] += 1  # another verdict
        assert predictions.difference(found, by_hand) == np.inf


def test_an_exponent_is_found_within_its_interval(bench: Any) -> None:
    exponent = bench("measuring").exponent
    size = np.geomspace(1, 1e4, 9)
    rng = np.random.default_rng(3)
    fit = exponent(size, 3e-6 * size**1.5 * rng.lognormal(0.0, 0.05, size.size))
    assert fit["low"] < 1.5 < fit["high"]
    assert fit["high"] - fit["low"] < 0.1
    assert fit["constant"] == pytest.approx(3e-6, rel=0.2)


def test_peers_take_their_turns(bench: Any) -> None:
    ran: list[str] = []
    ticks = iter(range(1000))
    seconds = bench("measuring").in_turn(
        {name: (lambda n=name: ran.append(n)) for name in "abc"}, 3, lambda: float(next(ticks))
    )
    assert "".join(ran) == "abc" + "abc" + "bca" + "cab"
    assert seconds == {name: [1.0, 1.0, 1.0] for name in "abc"}


def test_growth_is_fitted_above_the_fixed_cost(bench: Any) -> None:
    fitted = bench("growth").fitted
    sizes = [1, 3, 10, 30, 100, 300, 1000]
    rows = [{"size": n, "seconds": 1e-2 + 1e-6 * n**2, "bytes": n << 14} for n in sizes]
    # Fewer than four sizes take five times the shortest, and need more than 4 MiB.
    assert fitted(rows)["time"]["from"] == 1
    assert fitted(rows)["memory"] is None
    rows = [{"size": n, "seconds": 1e-5 + 1e-6 * n**2, "bytes": n << 20}
            for n in (*sizes, 150, 220, 460, 680)]  # fmt: skip
    rows.sort(key=lambda row: row["size"])
    found = fitted(rows)
    assert found["time"]["from"] == 10
    assert found["time"]["exponent"] == pytest.approx(2.0, abs=0.03)
    assert found["memory"]["from"] == 100
    assert found["memory"]["exponent"] == pytest.approx(1.0)
    # Half of it was never measured: no exponent for that.
    assert fitted([{"size": n, "seconds": 1.0 * n} for n in sizes])["memory"] is None


def test_the_memory_of_a_run_is_its_own(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    growth = bench("growth")
    room = 64 << 20
    monkeypatch.setattr(growth, "_work", lambda *_: lambda: np.ones(room // 8).sum())
    monkeypatch.setattr(growth, "_SECONDS", 0.0)
    np.ones(4 * room // 8)  # an earlier peak
    assert growth.one("read", 1)["bytes"] == pytest.approx(room, rel=0.1)
