"""Every pair is spoken to or passed over with a reason; what is spoken is the model's own."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

pytest.importorskip("yaml")

from perfmodel.cli import main
from perfmodel.hold import hold
from perfmodel.kernel import Kernel
from perfmodel.machine import Machine
from perfmodel.published import load_published
from perfmodel.published.pairs import SILENT, SPEAKING, compare_all
from perfmodel.published.result import Comparison, PublishedTable
from perfmodel.scenario import Call, Policy, Scenario


@pytest.fixture(scope="module")
def found() -> PublishedTable:
    return compare_all(load_published(), draws=100)


def test_every_pair_is_spoken_to_or_passed_over(found: PublishedTable) -> None:
    assert not set(SPEAKING) & set(SILENT)
    for result in found.results:
        assert bool(result.comparisons) != bool(result.silent)
        assert bool(result.comparisons) == bool(result.note)
        assert (result.pair.id in SPEAKING) == bool(result.comparisons)
    for c in found.comparisons:
        assert math.isfinite(c.predicted)
        assert c.low <= c.predicted * (1 + 1e-9)
        assert c.predicted <= c.high * (1 + 1e-9)


def test_munmap_of_80_gb_is_the_hold_model(found: PublishedTable, machine: Machine) -> None:
    before, after = [c for c in found.comparisons if c.pair == "T1"]
    call = Call("munmap", pages=80 * 2**18, remote_cpus=0)
    scenario = Scenario(machine, Kernel("5.10"), call)
    assert before.predicted == pytest.approx(float(hold(scenario, Policy.NONE).exclusive[0]))
    assert after.predicted == pytest.approx(float(hold(scenario, Policy.LAST_VMA).exclusive[0]))
    assert before.published == pytest.approx(2.4857e9, rel=1e-4)


def test_a_full_line_lets_through_what_its_operations_take(found: PublishedTable) -> None:
    server = Machine.load("two-socket-server")
    (full,) = [c for c in found.comparisons if c.pair == "T2" and c.what == "112 threads, before"]
    assert full.predicted == pytest.approx(1e9 / (2 * server.value("line_transfer")), rel=1e-3)
    few = [c for c in found.comparisons if c.pair == "T2" and c.what == "4 threads, after"]
    assert few[0].predicted == pytest.approx(4 / 1.74e-6, rel=1e-6)


def test_what_went_in_is_not_compared(found: PublishedTable) -> None:
    for pair in ("T2", "T3", "T4", "T5"):
        some = [c for c in found.comparisons if c.pair == pair]
        assert all(c.inputs for c in some)
        assert not any(c.what.startswith("1 thread") for c in some)
    (service,) = [c for c in found.comparisons if c.pair == "T14"]
    assert service.what.endswith("10 threads")
    assert "2 threads" in service.inputs


def test_the_service_of_two_threads_is_a_closed_loop(found: PublishedTable) -> None:
    # Machine repairman by hand: the hold that gives 10137 calls/s with two callers.
    cycle = 1e9 / 8217

    def rate(n: int, held: float) -> float:
        load = held / (cycle - held)
        weights = [math.perm(n, k) * load**k for k in range(n + 1)]
        return 1e9 * (1 - weights[0] / sum(weights)) / held

    grid = np.linspace(0.3 * cycle, 0.95 * cycle, 200_001)
    held = grid[np.argmin([abs(rate(2, h) - 10137) for h in grid[::50]]) * 50]
    (service,) = [c for c in found.comparisons if c.pair == "T14"]
    assert service.predicted == pytest.approx(rate(10, float(held)), rel=5e-3)


def test_a_hit_is_a_published_number_within_the_interval() -> None:
    made = {"pair": "T0", "what": "x", "unit": "1", "profile": "p"}
    assert Comparison(**made, published=1.0, predicted=1.2, low=0.9, high=1.5).hit
    assert Comparison(**made, published=0.87, predicted=1.2, low=0.9, high=1.5).hit
    assert not Comparison(**made, published=0.7, predicted=1.2, low=0.9, high=1.5).hit
    assert not Comparison(**made, published=1.6, predicted=1.2, low=0.9, high=1.5).hit


def test_the_verb_shows_hits_and_misses(
    found: PublishedTable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["published", "--draws", "50", "--constants"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "MISS" in text
    assert "hit" in text
    for name in SILENT:
        assert f"{name} (" in text
    assert "munmap_per_vma" in text
    assert main(["published", "--draws", "50", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["compared"] == len(found.comparisons)
    assert [p["pair"] for p in told["pairs"]] == [r.pair.id for r in found.results]
    assert main(["published", "--file", "/no/such.yaml"]) == 2
    assert "cannot be read" in capsys.readouterr().err
