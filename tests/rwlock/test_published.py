"""Special cases with published answers: a lock that only callers use is a textbook queue."""

from __future__ import annotations

from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest

from perfmodel.equations.numeric import erlang_b
from perfmodel.equations.queue import fifo_queue
from perfmodel.rwlock import Lock, solve
from perfmodel.rwlock.markov import solve_chain
from perfmodel.rwlock.simulate import Law, simulate

HOLD = 1000.0

#: Offered load, in erlangs, at which 1 % is lost, by servers: the usual table of Erlang's loss formula
#: (for instance R. B. Cooper, "Introduction to Queueing Theory", 2nd ed., 1981, appendix).
ERLANG_1_PERCENT = {
    1: 0.0101,
    2: 0.153,
    3: 0.455,
    4: 0.869,
    5: 1.36,
    10: 4.46,
    20: 12.0,
    50: 37.9,
    100: 84.1,
}

#: Mean number waiting in M/D/1 by utilisation (Pollaczek 1930): rho^2 / (2 (1 - rho)).
MD1_WAITING = {0.5: 0.25, 0.8: 1.6, 0.9: 4.05}


def _calls_alone(**more: object) -> Lock:
    given = {
        "exclusive": np.array([HOLD]), "shared": np.array([0.0]), "read_hold": 1.0,
        "readers_sleep": False, "fault_rate": 0.0,
    }  # fmt: skip
    return Lock(**given | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("servers", "load"), ERLANG_1_PERCENT.items())
def test_erlangs_loss_formula(servers: int, load: float) -> None:
    # The table has three digits of the load: the loss lies between those of its neighbours.
    digit = 10.0 ** (np.floor(np.log10(load)) - 2)
    low, high = (float(erlang_b(np.array(float(servers)), np.array(load + d))) for d in
                 (-0.51 * digit, 0.51 * digit))  # fmt: skip
    assert low <= 0.01 <= high


@pytest.mark.parametrize(("rho", "waiting"), MD1_WAITING.items())
def test_callers_alone_in_a_stream_are_md1(rho: float, waiting: float) -> None:
    rate = rho / HOLD
    queue = fifo_queue(0.0, rate, 1.0, HOLD)
    assert float(queue.writer_wait) * rate == pytest.approx(waiting, rel=1e-9)
    for discipline in ("rwsem", "fifo", "reader_preference", "writer_preference"):
        lock = _calls_alone(writer_rate=rate, discipline=discipline)
        told = simulate(lock, calls=150_000, seed=3, levels=()).estimates["acquire"]
        assert told.mean * rate == pytest.approx(waiting, abs=4 * told.error * rate)


@pytest.mark.parametrize("rho", [0.3, 0.7])
def test_exponential_holds_in_a_stream_are_mm1(rho: float) -> None:
    # Erlang: the mean wait is rho / (1 - rho) holds.
    told = simulate(
        _calls_alone(writer_rate=rho / HOLD), calls=150_000, seed=4, levels=(),
        holds={"exclusive": Law("exponential")},
    ).estimates["acquire"]  # fmt: skip
    assert told.mean == pytest.approx(rho / (1 - rho) * HOLD, abs=4 * told.error)


@pytest.mark.parametrize("machines", [2, 3, 6])
@pytest.mark.parametrize("ratio", [Fraction(1, 10), Fraction(1, 2), Fraction(2)])
def test_callers_in_a_closed_loop_are_the_machine_repairman(machines: int, ratio: Fraction) -> None:
    # Palm 1947: p_k proportional to m!/(m-k)! (hold/think)^k machines at the one repairman.
    weight = [Fraction(comb(machines, k) * factorial(k)) * ratio**k for k in range(machines + 1)]
    served = (1 - weight[0] / sum(weight)) / int(HOLD)
    lock = _calls_alone(
        fault_rate=None, fault_threads=0, fault_think=1.0, writer_threads=machines,
        writer_think=HOLD / float(ratio),
    )  # fmt: skip
    assert float(solve_chain(lock, levels=()).call_rate[0]) == pytest.approx(
        float(served), rel=1e-9
    )


def test_faults_in_progress_are_erlangs() -> None:
    # A single rare caller drains what M/M/infinity holds: with one erlang of faults the mean of the
    # maximum residual is Ein(1) holds, Abramowitz and Stegun table 5.1.
    lock = _calls_alone(fault_rate=1 / 500.0, read_hold=500.0, writer_think=1e12)
    assert float(solve(lock, levels=()).acquire[0]) / 500.0 == pytest.approx(0.7965995993, rel=1e-9)
