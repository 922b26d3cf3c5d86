"""Who answers: the closed form where its error is known, then the chain, then the simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.rwlock import Lock, solve
from perfmodel.rwlock.fallback import answer_all, chain_of_constant_holds
from perfmodel.rwlock.simulate import simulate


def _lock(**more: object) -> Lock:
    given = {
        "exclusive": np.array([20_000.0]), "shared": np.array([0.0]), "read_hold": 400.0,
        "readers_sleep": False, "fault_threads": 6, "fault_think": 15_000.0,
        "writer_think": 40_000.0,
    }  # fmt: skip
    return Lock(**given | more)  # type: ignore[arg-type]


def test_the_closed_form_answers_where_its_error_is_known() -> None:
    found = answer_all([_lock()])
    assert not found.reason
    assert found.answers[0].wait_mean == solve(_lock(), levels=()).wait_mean


def test_the_chain_stands_in_for_several_busy_callers() -> None:
    lock = _lock(writer_threads=3)
    assert solve(lock).broken
    found = answer_all([lock])
    assert "Markov chain answers" in found.reason
    told = simulate(lock, calls=40_000, levels=())
    for name in ("wait_mean", "acquire", "fault_rate", "call_rate", "blocked_share"):
        estimate = told.estimates[name]
        got = float(getattr(found.answers[0], name)[0])
        assert got == pytest.approx(estimate.mean, rel=0.01, abs=4 * estimate.error), name


def test_constant_holds_by_extrapolation_are_nearer_than_the_longer_chain() -> None:
    from perfmodel.rwlock.markov import solve_chain

    lock = _lock(fault_threads=1)
    # One thread and one caller: the closed form is exact for constant holds.
    exact = solve(lock, levels=())
    near, far = chain_of_constant_holds(lock), solve_chain(lock, stages=8, levels=())
    for name in ("wait_mean", "blocked_time"):
        truth = float(getattr(exact, name)[0])
        assert abs(float(getattr(near, name)[0]) - truth) < 0.3 * abs(
            float(getattr(far, name)[0]) - truth
        )


def test_the_simulation_stands_in_where_the_chain_cannot() -> None:
    lock = _lock(fault_threads=None, fault_rate=3e-4, writer_threads=4)
    found = answer_all([lock])
    assert "simulation answers" in found.reason
    assert answer_all([lock], "chain").reason.startswith("no other solver")


def test_what_is_outside_stays_flagged_where_nobody_can_stand_in() -> None:
    # So many faults a call that no simulation of a tenth of a second has calls enough.
    lock = _lock(fault_threads=None, fault_rate=1.0, writer_threads=4, writer_think=1e6)
    found = answer_all([lock])
    assert found.reason.startswith("no other solver can stand in")
    assert found.answers[0].broken


def test_all_policies_have_one_solver() -> None:
    cut = _lock(writer_threads=3, exclusive=np.array([200.0]), shared=np.array([20.0]))
    whole = _lock(writer_threads=3)
    assert solve(cut).broken == ()
    found = answer_all([whole, cut])
    assert all("Markov chain" in a.solver for a in found.answers)


def test_the_draws_move_as_the_closed_form_says() -> None:
    holds = np.array([20_000.0, 15_000.0, 25_000.0])
    lock = _lock(writer_threads=3, exclusive=holds, shared=np.zeros(3))
    found, closed = answer_all([lock]).answers[0], solve(lock, levels=())
    relative = found.wait_mean / found.wait_mean[0]
    np.testing.assert_allclose(relative, closed.wait_mean / closed.wait_mean[0])


def test_the_same_question_has_the_same_answer() -> None:
    lock = _lock(fault_threads=None, fault_rate=3e-4, writer_threads=4)
    one, two = answer_all([lock, replace(lock)]).answers
    assert one is two


def test_an_unknown_hold_stays_unknown() -> None:
    lock = _lock(exclusive=np.array([np.nan]))
    assert np.isnan(answer_all([_lock(writer_threads=3), lock]).answers[1].wait_mean).all()


@pytest.mark.parametrize("solver", ["oracle", ""])
def test_an_unknown_solver_is_refused(solver: str) -> None:
    with pytest.raises(InputError, match="one of auto"):
        answer_all([_lock()], solver)
