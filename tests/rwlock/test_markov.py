"""The Markov chain against the same lock written out with an explicit queue, limits and simulation."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from math import comb
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammaincc

from perfmodel.equations.drain import drain_threads
from perfmodel.errors import InputError
from perfmodel.rwlock import Lock, solve
from perfmodel.rwlock.lock import DISCIPLINES
from perfmodel.rwlock.markov import solve_chain, steady_state
from perfmodel.rwlock.markov_overtaken import OvertakenWaits
from perfmodel.rwlock.markov_states import MOVES, Shape, count_states, structure
from perfmodel.rwlock.markov_wait import WaitLaw, Waits, wait_quantile

sys.path.insert(0, str(Path(__file__).parents[1] / "equations"))
from lock_simulation import simulate

EXCLUSIVE, SHARED, READ, THINK, CALL_THINK = 3000.0, 5000.0, 400.0, 9000.0, 15_000.0


def _lock(**more: object) -> Lock:
    given = {
        "exclusive": np.array([EXCLUSIVE]), "shared": np.array([0.0]), "read_hold": READ,
        "readers_sleep": False, "fault_threads": 4, "fault_think": THINK,
        "writer_think": CALL_THINK,
    }  # fmt: skip
    for name in ("exclusive", "shared"):
        if name in more:
            more[name] = np.atleast_1d(np.array(more[name], dtype=float))
    return Lock(**{**given, **more})  # type: ignore[arg-type]


# The same lock with its queue written out: one state at a time, the rules as the kernel has them.


def _after(state: tuple, rule: str) -> tuple:  # type: ignore[type-arg]
    """Wake whoever may enter; the preferences bring theirs to the head of the queue."""
    stage, tail, inside, queue = state
    if rule in ("reader_preference", "writer_preference"):
        queue = "".join(sorted(queue, key=lambda c: (c == "w") == (rule == "reader_preference")))
    if not stage and queue and queue[0] == "w":
        if not inside and not tail:
            return (1, 0, 0, queue[1:])
    elif not stage and queue:
        if rule != "fifo":
            inside += sum(c != "w" for c in queue)
            queue = "".join(c for c in queue if c == "w")
        else:
            first = (queue + "w").index("w")
            inside, queue = inside + first, queue[first:]
    return (stage, tail, inside, queue)


def _keeps_faults_out(queue: str, rule: str) -> bool:
    """Tell whether a queue blocks a fault that comes while nobody writes."""
    return (
        bool(queue) if rule in ("rwsem", "fifo") else rule == "writer_preference" and "w" in queue
    )


def _moves(state: tuple, n: int, m: int, k: int, rule: str, base: dict[str, float]) -> list:  # type: ignore[type-arg]
    stage, tail, inside, queue = state
    callers = queue.count("w")
    readers = len(queue) - callers
    found = []
    if n - inside - readers:
        free = not stage and not _keeps_faults_out(queue, rule)
        to = (stage, tail, inside + free, queue + ("" if free else "r"))
        found.append((to, (n - inside - readers) * base["fault"]))
    thinking = m - callers - bool(stage or tail)
    if thinking:
        found.append((_after((stage, tail, inside, queue + "w"), rule), thinking * base["call"]))
    if inside:
        found.append((_after((stage, tail, inside - 1, queue), rule), inside * base["read end"]))
    if tail:
        to = (0, 0 if tail == k else tail + 1, inside, queue)
        found.append((_after(to, rule) if tail == k else to, base["tail stage"]))
    if stage:
        if stage < k:
            to = (stage + 1, tail, inside, queue)
        else:
            to = _after((0, int(base["tail stage"] > 0), 0, queue), rule)
        found.append((to, base["exclusive stage"]))
    return found


def _explore(first: tuple, moves) -> tuple[dict, np.ndarray]:  # type: ignore[no-untyped-def,type-arg]
    number, todo, edges = {first: 0}, [first], []
    while todo:
        state = todo.pop()
        for to, rate in moves(state):
            if to not in number:
                number[to] = len(number)
                todo.append(to)
            edges.append((number[state], number[to], rate))
    generator = np.zeros((len(number), len(number)))
    for i, j, rate in edges:
        generator[i, j] += rate
        generator[i, i] -= rate
    return number, generator


def _base(lock: Lock, stages: int) -> dict[str, float]:
    shared = float(lock.shared[0])
    return {
        "fault": 1 / lock.fault_think, "call": 1 / float(lock.writer_think),
        "read end": 1 / float(lock.read_hold), "exclusive stage": stages / lock.exclusive[0],
        "tail stage": stages / shared if shared else 0.0,
    }  # fmt: skip


def _written_out(lock: Lock, stages: int, cpus: int | None) -> SimpleNamespace:
    n, m, base = lock.fault_threads, lock.writer_threads, _base(lock, stages)
    assert n is not None

    def moves(state):  # type: ignore[no-untyped-def]
        speed = 1.0 if cpus is None else min(1.0, cpus / (n + m - len(state[3])))
        return [(to, speed * r) for to, r in _moves(state, n, m, stages, lock.discipline, base)]

    number, generator = _explore((0, 0, 0, ""), moves)
    system = np.vstack((generator.T * 1e4, np.ones(len(number))))
    p = np.linalg.lstsq(system, np.append(np.zeros(len(number)), 1.0), rcond=None)[0]
    reads = calls = blocked = 0.0
    for state, i in number.items():
        speed = 1.0 if cpus is None else min(1.0, cpus / (n + m - len(state[3])))
        callers = state[3].count("w")
        reads += p[i] * speed * state[2] * base["read end"]
        calls += p[i] * speed * (m - callers - bool(state[0] or state[1])) * base["call"]
        thinking = n - state[2] - len(state[3]) + callers
        out = state[0] or _keeps_faults_out(state[3], lock.discipline)
        blocked += p[i] * speed * thinking * base["fault"] * bool(out)
    queued = sum(p[i] * (len(s[3]) - s[3].count("w")) for s, i in number.items())
    waiting = sum(p[i] * s[3].count("w") for s, i in number.items())
    return SimpleNamespace(
        number=number, generator=generator, p=p, fault_rate=reads, call_rate=calls,
        acquire=waiting / calls, blocked=blocked / calls, blocked_time=queued / calls,
        blocked_share=blocked / reads, wait_mean=queued / reads,
    )  # fmt: skip


@pytest.mark.parametrize("cpus", [None, 2])
@pytest.mark.parametrize("shared", [0.0, SHARED])
@pytest.mark.parametrize("rule", DISCIPLINES)
@pytest.mark.parametrize(("threads", "callers", "stages"), [(3, 1, 3), (2, 3, 1), (3, 2, 2)])
def test_same_as_the_chain_with_its_queue_written_out(
    threads: int, callers: int, stages: int, rule: str, shared: float, cpus: int | None
) -> None:
    lock = _lock(
        fault_threads=threads, writer_threads=callers, shared=shared, discipline=rule
    )  # fmt: skip
    answer = solve_chain(replace(lock, cpus=cpus), stages=stages)
    expected = _written_out(lock, stages, cpus)
    for name in (
        "fault_rate", "call_rate", "acquire", "blocked", "blocked_time", "blocked_share",
        "wait_mean",
    ):  # fmt: skip
        assert getattr(answer, name)[0] == pytest.approx(getattr(expected, name), rel=1e-9), name


def _exactly(lock: Lock) -> SimpleNamespace:
    """Solve the chain with its queue written out in fractions: no digit is lost."""
    n, m, base = lock.fault_threads, lock.writer_threads, _base(lock, 1)
    assert n is not None
    number, generator = _explore(
        (0, 0, 0, ""), lambda state: _moves(state, n, m, 1, lock.discipline, base)
    )  # fmt: skip
    size = len(number)
    rate = [[Fraction(x) for x in row] for row in generator.tolist()]
    for last in range(size - 1, 0, -1):
        left = sum(rate[last][:last])
        for i in range(last):
            rate[i][last] /= left
            for j in range(last):
                rate[i][j] += rate[i][last] * rate[last][j] * (i != j)
    p = [Fraction(1)]
    for i in range(1, size):
        p.append(sum(p[j] * rate[j][i] for j in range(i)))
    whole = sum(p)
    share = {state: p[i] / whole for state, i in number.items()}
    reads = sum(x * s[2] for s, x in share.items()) * Fraction(base["read end"])
    starts = sum(x for s, x in share.items() if s[0]) * Fraction(base["exclusive stage"])
    queued = {c: sum(x * s[3].count(c) for s, x in share.items()) for c in "rw"}
    return SimpleNamespace(
        fault_rate=float(reads), call_rate=float(starts), acquire=float(queued["w"] / starts),
        blocked_time=float(queued["r"] / starts), wait_mean=float(queued["r"] / reads),
    )  # fmt: skip


@pytest.mark.parametrize("shared", [0.0, SHARED])
@pytest.mark.parametrize(
    ("rule", "threads", "callers", "starved"),
    [
        # Readers come again after a ten thousandth of their hold: callers are let in once in 1e20.
        ("reader_preference", 5, 2, {"fault_think": READ / 1e4}),
        # Callers come again after a hundred thousandth of theirs: readers are let in once in 1e10.
        ("writer_preference", 3, 3, {"writer_think": EXCLUSIVE / 1e5}),
        ("rwsem", 3, 2, {"fault_think": READ / 1e6, "writer_think": 1e13}),
    ],
)
def test_rare_flows_keep_their_digits(
    rule: str, threads: int, callers: int, starved: dict[str, float], shared: float
) -> None:
    lock = _lock(
        fault_threads=threads, writer_threads=callers, shared=shared, discipline=rule, **starved
    )  # fmt: skip
    answer, expected = solve_chain(lock, levels=()), _exactly(lock)
    for name, value in vars(expected).items():
        assert getattr(answer, name)[0] == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize("shared", [0.0, SHARED])
@pytest.mark.parametrize("rule", ["rwsem", "reader_preference", "writer_preference"])
@pytest.mark.parametrize(("callers", "stages"), [(1, 2), (2, 1), (3, 1), (2, 2)])
def test_law_of_the_wait_is_that_of_a_tagged_fault(
    callers: int, stages: int, rule: str, shared: float
) -> None:
    # The fault that is watched stands in the queue as "t"; faults and callers behind it go on.
    n = 2
    lock = _lock(fault_threads=n, writer_threads=callers, shared=shared, discipline=rule)
    base, whole = _base(lock, stages), _written_out(lock, stages, None)
    start: dict[tuple, float] = {}  # type: ignore[type-arg]
    for state, i in whole.number.items():
        stage, tail, inside, queue = state
        thinking = n - inside - queue.count("r")
        if thinking and (stage or _keeps_faults_out(queue, rule)):
            watched = (stage, tail, inside, queue + "t")
            start[watched] = whole.p[i] * thinking

    def moves(state):  # type: ignore[no-untyped-def]
        if "t" not in state[3]:
            return []
        return _moves(state, n, callers, stages, rule, base)

    first = max(start, key=lambda s: start[s])
    number, generator = _explore(("begin",), lambda s: (
        [(to, 1.0) for to in start] if s == ("begin",) else moves(s)
    ))  # fmt: skip
    weight = np.zeros(len(number))
    for state, share in start.items():
        weight[number[state]] = share / sum(start.values())
    assert first in number
    waits = np.array([i for s, i in number.items() if s != ("begin",) and "t" in s[3]])
    alive = generator[np.ix_(waits, waits)]
    levels = (0.8, 0.9, 0.99)
    answer = solve_chain(lock, stages=stages, levels=levels)
    for level in levels:
        at = answer.wait_quantiles[level][0]
        if 1 - level >= answer.blocked_share[0]:
            assert at == 0
            continue
        beyond = weight[waits] @ expm(alive * at).sum(axis=1) * answer.blocked_share[0]
        assert beyond == pytest.approx(1 - level, rel=3e-6)


@given(
    threads=st.integers(0, 9), callers=st.integers(1, 4), stages=st.integers(1, 3),
    tail=st.booleans(), rule=st.sampled_from(DISCIPLINES),
)  # fmt: skip
@settings(max_examples=80)
def test_states_are_counted_distinct_and_found(
    threads: int, callers: int, stages: int, tail: bool, rule: str
) -> None:
    chain = structure(Shape(threads, callers, stages, tail, rule))
    assert chain.states == count_states(chain.shape)
    assert len(np.unique(chain.table, axis=0)) == chain.states
    assert np.all(chain.source != chain.target)
    # What makes the balance equations nearly triangular: only readers that leave where others may
    # come go back, by one state.
    back = (chain.target < chain.source) & ~chain.starts
    assert np.all(chain.kind[back] == MOVES.index("read end"))
    assert np.all(chain.target[back] == chain.source[back] - 1)
    assert np.all(chain.block[chain.target[back]] == chain.block[chain.source[back]])
    comes = (chain.kind == MOVES.index("fault")) & ~chain.blocks[chain.source]
    assert np.all(chain.target[comes] == chain.source[comes] + 1)
    # Whatever is listed can happen: every state is reached from every other.
    moves = csr_array((np.ones(len(chain.source)), (chain.source, chain.target)))
    assert connected_components(moves, connection="strong")[0] == 1


_times = st.floats(1.5, 5.5).map(lambda x: 10.0**x)


@given(
    threads=st.integers(1, 12), callers=st.integers(1, 4), stages=st.integers(1, 2),
    tail=st.booleans(), rule=st.sampled_from(DISCIPLINES),
    think=_times, read=_times, call_think=_times, exclusive=_times, shared=_times,
)  # fmt: skip
@settings(max_examples=40)
def test_time_and_flow_are_conserved(
    threads: int, callers: int, stages: int, tail: bool, rule: str, think: float, read: float,
    call_think: float, exclusive: float, shared: float,
) -> None:  # fmt: skip
    shared = shared if tail else 0.0
    lock = _lock(
        fault_threads=threads, writer_threads=callers, fault_think=think, read_hold=read,
        writer_think=call_think, exclusive=exclusive, shared=shared, discipline=rule,
    )  # fmt: skip
    answer = solve_chain(lock, stages=stages, levels=())
    assert answer.fault_rate[0] * (think + read + answer.wait_mean[0]) == pytest.approx(threads)
    blocked = answer.blocked_time[0] * answer.call_rate[0] / threads
    assert answer.fault_rate[0] == pytest.approx(threads * (1 - blocked) / (think + read), rel=1e-8)
    cycle = call_think + answer.acquire[0] + exclusive + shared
    assert answer.call_rate[0] * cycle == pytest.approx(callers, rel=1e-8)

    chain = structure(Shape(threads, callers, stages, tail, rule))
    state = steady_state(chain, _base(lock, stages))
    assert state.residual < 1e-12
    assert state.probability.min() >= 0
    assert state.flow @ chain.woken == pytest.approx(answer.blocked[0] * answer.call_rate[0])
    calls = state.rate(chain.kind == MOVES.index("call"))
    assert state.rate(chain.starts) == pytest.approx(calls)
    # Processor sharing changes the clock of a state, so all rates by one factor.
    limited = steady_state(chain, _base(lock, stages), cpus=2)
    assert limited.residual < 1e-12
    assert limited.flow / state.flow == pytest.approx(limited.flow[0] / state.flow[0], rel=1e-6)


@pytest.mark.parametrize(
    ("callers", "ratio", "busy"),
    # Machine repairman by hand: utilisation of one server, m machines, hold/think = ratio.
    [(1, 1, Fraction(1, 2)), (2, 1, Fraction(4, 5)), (3, Fraction(1, 2), Fraction(15, 19)),
     (4, Fraction(1, 4), Fraction(71, 103))],
)  # fmt: skip
@pytest.mark.parametrize("rule", DISCIPLINES)
def test_callers_alone_are_a_machine_repairman(
    callers: int, ratio: Fraction, busy: Fraction, rule: str
) -> None:
    # p_j ~ m!/(m-j)! ratio^j
    weights, weight = [], Fraction(1)
    for j in range(callers + 1):
        weights.append(weight)
        weight = weight * (callers - j) * ratio
    assert 1 - weights[0] / sum(weights) == busy
    common = {
        "writer_threads": callers, "writer_think": EXCLUSIVE / float(ratio), "discipline": rule
    }  # fmt: skip
    nobody = solve_chain(_lock(fault_threads=0, **common))
    assert nobody.call_rate[0] == pytest.approx(float(busy) / EXCLUSIVE, rel=1e-12)
    assert nobody.blocked[0] == nobody.fault_rate[0] == nobody.wait_mean[0] == 0
    # Reads that take no time delay nobody.
    short = solve_chain(_lock(read_hold=1e-6, **common))
    assert short.call_rate[0] == pytest.approx(float(busy) / EXCLUSIVE, rel=1e-8)


def test_a_rare_caller_finds_independent_readers() -> None:
    n, think = 20, 2000.0
    answer = solve_chain(_lock(fault_threads=n, fault_think=think, writer_think=1e10), stages=2)
    inside = READ / (READ + think)
    drain = drain_threads(n, 1 / READ, inside).mean
    assert answer.acquire[0] == pytest.approx(float(drain), rel=1e-5)
    # A binomial batch drains in the mean of harmonic numbers.
    chance = [comb(n, j) * inside**j * (1 - inside) ** (n - j) for j in range(n + 1)]
    harmonic = np.concatenate(([0.0], np.cumsum(1.0 / np.arange(1, n + 1))))
    assert answer.acquire[0] == pytest.approx(READ * float(np.dot(chance, harmonic)), rel=1e-5)


@pytest.mark.parametrize("rule", ["rwsem", "fifo"])
@pytest.mark.parametrize(
    ("threads", "callers", "shared"), [(6, 1, 8000.0), (5, 2, 0.0), (5, 2, 8000.0), (4, 3, 3000.0)]
)
def test_against_simulation_with_constant_holds(
    threads: int, callers: int, shared: float, rule: str
) -> None:
    # 60 stages stand for a constant: second moments are 1.7 % too large.
    answer = solve_chain(
        _lock(
            fault_threads=threads, writer_threads=callers, shared=shared, discipline=rule,
            writer_think=40_000.0,
        ),
        stages=60 if rule == "rwsem" or callers < 3 else 30, levels=(),
    )  # fmt: skip
    run = simulate(
        mu=1 / READ, exclusive=EXCLUSIVE, shared=shared, threads=threads, nu=1 / THINK,
        writers=callers, think_writer=40_000, rule=rule, events=600_000, seed=5,
    )  # fmt: skip
    for mine, theirs in (
        (answer.fault_rate[0], run.fault_rate),
        (answer.call_rate[0], run.call_rate),
        (answer.wait_mean[0], run.reader_wait),
        (answer.blocked_share[0], run.blocked_share),
        (answer.acquire[0], run.writer_wait),
    ):
        assert abs(mine - theirs.mean) < 4.5 * theirs.error


@pytest.mark.parametrize("rule", ["reader_preference", "writer_preference"])
@pytest.mark.parametrize(
    ("threads", "callers", "shared"),
    [(6, 1, 8000.0), (8, 2, 0.0), (5, 3, 8000.0), (24, 4, 2000.0)],
)
def test_preferences_against_the_compiled_simulation(
    threads: int, callers: int, shared: float, rule: str
) -> None:
    pytest.importorskip("numba")
    from perfmodel.rwlock.simulate import Law
    from perfmodel.rwlock.simulate import simulate as compiled

    lock = _lock(
        fault_threads=threads, writer_threads=callers, shared=shared, discipline=rule,
        writer_think=40_000.0,
    )  # fmt: skip
    answer, law = solve_chain(lock), Law("exponential")
    run = compiled(lock, calls=90_000, seed=11, holds={"exclusive": law, "shared": law})
    for name in (
        "fault_rate", "call_rate", "acquire", "blocked", "blocked_time", "blocked_share",
        "wait_mean",
    ):  # fmt: skip
        estimate = run.estimates[name]
        assert abs(estimate.mean - getattr(answer, name)[0]) < 4 * estimate.error, name
    for level, wait in answer.wait_quantiles.items():
        # The simulation counts waits in bins of 1 %.
        estimate = run.quantiles[level]
        assert abs(estimate.mean - wait[0]) <= 4 * estimate.error + 0.01 * wait[0], level


@pytest.mark.parametrize("shared", [0.0, 8000.0])
@pytest.mark.parametrize("threads", [1, 6, 24])
def test_closed_form_is_within_its_stated_error_for_one_caller(threads: int, shared: float) -> None:
    lock = _lock(fault_threads=threads, shared=shared)
    exact, closed = solve_chain(lock, stages=200), solve(lock)
    for name, error in (
        ("fault_rate", 0.02), ("call_rate", 0.04), ("acquire", 0.04), ("wait_mean", 0.06),
        ("blocked_share", 0.06),
    ):  # fmt: skip
        assert getattr(closed, name)[0] == pytest.approx(getattr(exact, name)[0], rel=error), name
    assert closed.wait_quantiles[0.99][0] == pytest.approx(
        exact.wait_quantiles[0.99][0], rel=0.11
    )  # fmt: skip


def test_more_callers_and_longer_holds_cost_faults() -> None:
    rates = [
        solve_chain(_lock(writer_threads=m, shared=SHARED), levels=()).fault_rate[0]
        for m in (1, 2, 4, 7)
    ]
    assert np.all(np.diff(rates) < 0)
    several = _lock(writer_threads=2, exclusive=[1000.0, 2000.0, 4000.0, 8000.0],
                    shared=[0.0, 0.0, 0.0, 0.0])  # fmt: skip
    answer = solve_chain(several)
    assert np.all(np.diff(answer.fault_rate) < 0)
    assert np.all(np.diff(answer.acquire) > 0)
    assert np.all(np.diff(answer.wait_quantiles[0.99]) > 0)
    assert np.all(answer.wait_quantiles[0.9] <= answer.wait_quantiles[0.99])


@pytest.mark.parametrize("callers", [1, 2, 4])
def test_downgrade_never_hurts_where_every_thread_has_a_cpu(callers: int) -> None:
    for think in (3000.0, 30_000.0):
        common = {"fault_threads": 8, "writer_threads": callers, "writer_think": think}
        without = solve_chain(_lock(**common, exclusive=EXCLUSIVE + SHARED), levels=())
        cut = solve_chain(_lock(**common, exclusive=EXCLUSIVE, shared=SHARED), levels=())
        assert cut.fault_rate[0] > without.fault_rate[0]
        assert cut.call_rate[0] > without.call_rate[0]


def test_first_come_first_served_is_the_kernels_rule_for_one_caller() -> None:
    for stages in (1, 3):
        kernel, fifo = (
            solve_chain(_lock(shared=SHARED, discipline=rule), stages=stages)
            for rule in ("rwsem", "fifo")
        )
        assert fifo.wait_mean[0] == kernel.wait_mean[0]
        assert fifo.wait_quantiles[0.99][0] == kernel.wait_quantiles[0.99][0]


@pytest.mark.parametrize("stages", [1, 3])
def test_callers_first_is_the_kernels_rule_for_one_caller(stages: int) -> None:
    # Without a second caller nobody overtakes a fault, and none waits at the end of a hold.
    kernel, preferred = (
        solve_chain(_lock(fault_threads=12, shared=SHARED, discipline=rule), stages=stages)
        for rule in ("rwsem", "writer_preference")
    )
    for name in ("fault_rate", "call_rate", "acquire", "blocked", "blocked_time", "wait_mean"):
        assert getattr(preferred, name)[0] == pytest.approx(getattr(kernel, name)[0], rel=1e-12)
    # Two ways to the same law: one equation for the start of a hold, and a product of stages.
    for level, wait in kernel.wait_quantiles.items():
        assert preferred.wait_quantiles[level][0] == pytest.approx(wait[0], rel=1e-6)


@pytest.mark.parametrize("shared", [0.0, SHARED])
@pytest.mark.parametrize("callers", [1, 2, 4])
def test_a_preferred_reader_waits_for_the_rest_of_one_exclusive_part(
    callers: int, shared: float
) -> None:
    # An exponential hold forgets its age, so all blocked faults wait for one mean hold. Under every
    # other rule they wait for one end of a hold at least, and so for no less.
    common = {"fault_threads": 9, "writer_threads": callers, "shared": shared}
    first = solve_chain(_lock(**common, discipline="reader_preference"))
    assert first.blocked_time[0] / first.blocked[0] == pytest.approx(EXCLUSIVE, rel=1e-10)
    for level, wait in first.wait_quantiles.items():
        share = first.blocked_share[0] / (1 - level)
        assert wait[0] == pytest.approx(EXCLUSIVE * max(np.log(share), 0.0), rel=1e-6)
    for rule in ("rwsem", "fifo", "writer_preference"):
        other = solve_chain(_lock(**common, discipline=rule), levels=())
        assert other.blocked_time[0] / other.blocked[0] > 1.001 * EXCLUSIVE


def test_preferred_readers_starve_callers_as_their_load_grows() -> None:
    # A caller that comes seldom finds n independent readers, and they go on coming: the mean time
    # from i of them to i - 1 is a sum over how far they rise in between (birth and death).
    n, answers = 40, []
    for ratio in (0.01, 0.1, 0.3, 1.0, 30.0):
        lock = _lock(
            fault_threads=n, fault_think=READ / ratio, writer_think=1e10,
            discipline="reader_preference",
        )  # fmt: skip
        answers.append(solve_chain(lock))
        step = np.zeros(n + 1)
        for i in range(1, n + 1):
            rise = [comb(n - i, j) / comb(i + j, i) * ratio**j for j in range(n - i + 1)]
            step[i] = READ / i * sum(rise)
        chance = np.array([comb(n, i) * ratio**i / (1 + ratio) ** n for i in range(n + 1)])
        assert answers[-1].acquire[0] == pytest.approx(chance @ np.cumsum(step), rel=1e-5)
    acquire = np.array([answer.acquire[0] for answer in answers])
    assert np.all(np.diff(acquire) > 0)
    # Empty once in (1 + ratio)^n, for as long as one of n thinks.
    assert acquire[-1] == pytest.approx(31.0**40 * READ / (30 * n), rel=0.05)
    # Nobody writes any more, and so no fault waits.
    cycle = READ / 30.0 + READ
    assert answers[-1].call_rate[0] == pytest.approx(1 / acquire[-1])
    assert answers[-1].fault_rate[0] == pytest.approx(n / cycle, rel=1e-12)
    assert answers[-1].blocked_share[0] < 1e-40
    assert all(wait[0] == 0 for wait in answers[-1].wait_quantiles.values())
    assert not answers[-1].broken


def test_callers_that_wait_beyond_all_numbers_are_unknown_and_it_is_said() -> None:
    lock = _lock(
        fault_threads=200, fault_think=READ / 100, discipline="reader_preference",
        exclusive=[EXCLUSIVE, 0.0], shared=[0.0, SHARED],
    )  # fmt: skip
    answer = solve_chain(lock)
    assert np.isnan(answer.acquire[0]) and np.isnan(answer.wait_mean[0])
    assert answer.acquire[1] == 0
    assert list(answer.valid) == [False, True]
    assert any("kept out" in why for why in answer.region.broken(0))


def test_preferred_callers_starve_readers_as_they_think_less() -> None:
    common = {"writer_threads": 3, "shared": SHARED, "discipline": "writer_preference"}
    waits, calls = [], []
    for think in (1e5, 1e4, 1e3, 1e1):
        answer = solve_chain(_lock(**common, writer_think=think), levels=())
        assert not answer.broken
        waits.append(answer.wait_mean[0])
        calls.append(answer.call_rate[0])
    assert np.all(np.diff(waits) > 0)
    assert np.all(np.diff(calls) > 0)
    # A fault is let in once nobody calls in the hold and the tail of one caller, nor, with two who
    # think by then, in the hold of the next: three stages in a row, each a think time or half of one
    # against its mean.
    think = 0.1
    chance = think / EXCLUSIVE * think / SHARED * think / 2 / EXCLUSIVE
    for threads in (4, 20):  # with 20 the iteration loses such a flow, and elimination finds it
        hasty = solve_chain(_lock(**common, writer_think=think, fault_threads=threads), levels=())
        assert hasty.wait_mean[0] == pytest.approx((EXCLUSIVE + SHARED) / chance, rel=1e-3)
        assert not hasty.broken
    never = solve_chain(_lock(**common, writer_think=0.0))
    alone = solve_chain(_lock(**common, writer_think=0.0, fault_threads=0))
    assert never.wait_mean[0] == never.wait_quantiles[0.5][0] == np.inf
    assert never.fault_rate[0] == never.blocked[0] == 0
    assert never.acquire[0] == alone.acquire[0]
    assert never.call_rate[0] == pytest.approx(1 / (EXCLUSIVE + SHARED), rel=1e-8)
    assert never.blocked_time[0] * never.call_rate[0] == pytest.approx(4)
    # With one caller the readers' turn comes after every hold.
    one = solve_chain(_lock(**{**common, "writer_threads": 1}, writer_think=0.0))
    assert 0 < one.wait_mean[0] < 10 * EXCLUSIVE


def test_laws_that_have_lost_their_digits_are_not_given() -> None:
    common = {"writer_threads": 4, "discipline": "writer_preference"}
    answer = solve_chain(_lock(**common, writer_think=EXCLUSIVE / 1e6))
    assert answer.wait_mean[0] > 1e12 * EXCLUSIVE
    assert np.isnan(answer.wait_quantiles[0.5][0])
    assert any("quantiles" in why for why in answer.broken)


def test_a_wake_up_of_more_than_256_readers_is_flagged_for_the_kernel_alone() -> None:
    common = {
        "fault_threads": 300, "fault_think": 30_000.0, "exclusive": [30.0, 40_000.0],
        "shared": [0.0, 0.0],
    }  # fmt: skip
    kernel = solve_chain(_lock(**common), levels=())
    assert list(kernel.valid) == [True, False]
    assert any("256" in why for why in kernel.region.broken(1))
    textbook = solve_chain(_lock(**common, discipline="reader_preference"), levels=())
    assert textbook.valid.all()
    fewer = solve_chain(_lock(**{**common, "fault_threads": 256}), levels=())
    assert fewer.valid.all()


def _gain(cpus: int | None, n: int, think: float) -> float:
    common = {"fault_threads": n, "fault_think": think}
    without = solve_chain(_lock(**common, exclusive=EXCLUSIVE + SHARED, cpus=cpus), levels=())
    cut = solve_chain(_lock(**common, exclusive=EXCLUSIVE, shared=SHARED, cpus=cpus), levels=())
    return float(cut.fault_rate[0] / without.fault_rate[0] - 1)


def test_a_blocked_thread_lends_its_cpu_so_that_a_downgrade_gains_less() -> None:
    ratios: dict[float, list[float]] = {0.3: [], 0.5: [], 0.75: [], 1.0: []}
    for n in (7, 15):
        for think in (2000.0, 9000.0, 40_000.0):
            full = _gain(None, n, think)
            assert full > 0
            for part, found in ratios.items():
                found.append(_gain(max(1, round(part * (n + 1))), n, think) / full)
    median = {part: float(np.median(found)) for part, found in ratios.items()}
    assert median[1.0] == pytest.approx(1.0)
    assert median[0.3] < median[0.5] < median[0.75] < 1.0
    assert -0.1 < median[0.3] < 0.35


def test_cpus_limit_those_who_never_wait_too() -> None:
    free = _lock(exclusive=0.0, shared=SHARED, fault_threads=7)
    all_run, half = solve_chain(free), solve_chain(replace(free, cpus=4))
    assert half.fault_rate[0] == pytest.approx(all_run.fault_rate[0] / 2)
    assert half.call_rate[0] == pytest.approx(all_run.call_rate[0] / 2)
    assert half.wait_mean[0] == 0


def test_wake_ups_come_on_top() -> None:
    common = {"wake_latency": 5000.0, "wake_serial": 700.0, "fault_threads": 8}
    spin = solve_chain(_lock(**common))
    sleep = solve_chain(_lock(**common, readers_sleep=True))
    closed = solve(_lock(**common, readers_sleep=True))
    assert spin.wake_time[0] == 0
    assert sleep.blocked_time[0] == spin.blocked_time[0]
    assert sleep.wake_time[0] > 5700 * sleep.blocked[0]
    assert sleep.fault_rate[0] == pytest.approx(8 / (THINK + READ + sleep.wait_mean[0]))
    assert sleep.wake_time[0] == pytest.approx(closed.wake_time[0], rel=0.2)
    assert any("woken" in why for why in solve_chain(_lock(readers_sleep=True, cpus=2)).broken)


def test_one_sleeper_is_never_behind_another() -> None:
    waker = {"wake_latency": 5000.0, "wake_serial": 700.0, "readers_sleep": True}
    one = solve_chain(_lock(fault_threads=1, **waker))
    assert one.wake_time[0] == pytest.approx(5700 * one.blocked[0], rel=1e-12)
    # Two: the second of a pair waits for the waker once more.
    two, expected = solve_chain(_lock(fault_threads=2, **waker)), _written_out(
        _lock(fault_threads=2), 1, None
    )  # fmt: skip
    pairs = sum(
        expected.p[i] / EXCLUSIVE for s, i in expected.number.items() if s[0] and s[3] == "rr"
    ) / expected.call_rate  # fmt: skip
    assert two.wake_time[0] == pytest.approx(5700 * two.blocked[0] + 700 * pairs, rel=1e-8)


def test_sections_are_calls_of_their_own() -> None:
    one = solve_chain(_lock(shared=SHARED, writer_think=CALL_THINK / 4))
    four = solve_chain(_lock(shared=SHARED, sections=4))
    assert four.call_rate[0] == pytest.approx(one.call_rate[0] / 4)
    for name in ("acquire", "blocked", "blocked_time"):
        assert getattr(four, name)[0] == pytest.approx(4 * getattr(one, name)[0])
    assert four.wait_mean[0] == pytest.approx(one.wait_mean[0])
    assert any("sections" in why for why in four.broken)


def test_faults_behind_a_caller_behind_a_tail_wait_long() -> None:
    # The lock is held 15 % of the time and hardly ever for writing: with several callers it is
    # the tail of one, with the next already queued, that blocks the faults.
    lock = _lock(
        fault_threads=1, fault_think=40_000.0, writer_threads=3, writer_think=110_000.0,
        exclusive=31.0, shared=6000.0, read_hold=1000.0,
    )  # fmt: skip
    answer = solve_chain(lock, stages=60, levels=())
    run = simulate(
        mu=1e-3, exclusive=31, shared=6000, threads=1, nu=1 / 40_000, writers=3,
        think_writer=110_000, events=400_000, seed=3,
    )  # fmt: skip
    assert answer.wait_mean[0] > 15
    # 1.7 %: what Erlang-60 adds to the second moment of a constant.
    for mine, theirs in (
        (answer.wait_mean[0], run.reader_wait), (answer.acquire[0], run.writer_wait)
    ):  # fmt: skip
        assert abs(mine - theirs.mean) < 0.017 * theirs.mean + 4.5 * theirs.error


def test_faults_that_need_no_lock_thin_the_others() -> None:
    half = solve_chain(_lock(affected=0.5))
    full = solve_chain(_lock())
    assert 0 < half.wait_mean[0] < 0.6 * full.wait_mean[0]
    assert half.fault_rate[0] * (THINK + READ + half.wait_mean[0]) == pytest.approx(4)
    assert any("exponential" in why for why in half.broken)
    assert solve_chain(_lock(affected=0.0)).wait_mean[0] == 0


def test_a_caller_without_think_time_calls_again_at_once() -> None:
    answer = solve_chain(_lock(writer_think=0.0, writer_threads=2))
    cycle = answer.acquire[0] + EXCLUSIVE
    assert answer.call_rate[0] * cycle == pytest.approx(2, rel=1e-6)
    assert 0.9 < answer.call_rate[0] * EXCLUSIVE < 1


def test_draws_are_answered_one_by_one_and_the_unknown_stays_unknown() -> None:
    holds = np.array([1000.0, np.nan, 0.0, 3000.0])
    answer = solve_chain(_lock(exclusive=holds, shared=[0.0, 0.0, 5.0, 4000.0]))
    alone = solve_chain(_lock(exclusive=3000.0, shared=4000.0))
    assert answer.wait_mean[3] == alone.wait_mean[0]
    assert answer.wait_mean[2] == 0
    assert np.isnan(answer.wait_mean[1]) and np.isnan(answer.wait_quantiles[0.5][1])
    assert str(count_states(Shape(4, 1, 1, True, "rwsem"))) in answer.solver


def test_quantiles_that_cannot_be_had_are_nan_and_say_why() -> None:
    for answer in (
        solve_chain(_lock(cpus=2)),
        solve_chain(_lock(writer_threads=2, discipline="fifo")),
    ):
        assert np.isnan(answer.wait_quantiles[0.99][0])
        assert any("quantiles" in why for why in answer.broken)


@pytest.mark.parametrize("shared", [0.0, SHARED])
def test_mean_of_the_law_is_the_mean_of_the_chain(shared: float) -> None:
    lock = _lock(fault_threads=16, writer_threads=3, shared=shared)
    chain = structure(Shape(16, 3, 4, shared > 0, "rwsem"))
    base = _base(lock, 4)
    state = steady_state(chain, base)
    waits = Waits.of(chain, state.flow[chain.blocking], base)
    answer = solve_chain(lock, stages=4)
    assert waits.mean == pytest.approx(answer.blocked_time[0] / answer.blocked[0], rel=1e-7)


@pytest.mark.parametrize("stages", [1, 20, 300])
def test_law_of_one_thread_is_a_mixture_of_erlang_laws(stages: int) -> None:
    # The only thread is never inside while it is blocked: what is left of the hold, stage by stage.
    lock, chain = _lock(fault_threads=1), structure(Shape(1, 1, stages, False, "rwsem"))
    base = _base(lock, stages)
    state = steady_state(chain, base)
    waits = Waits.of(chain, state.flow[chain.blocking], base)
    wait = np.array([100.0, 1500.0, 2800.0, 3000.0, 3300.0, 9000.0])
    left = stages - np.arange(1, stages + 1) + 1
    exact = gammaincc(left, base["exclusive stage"] * wait[:, None]) @ waits.writing[1:, 0]
    assert waits.beyond(wait) == pytest.approx(exact, abs=1e-7)
    assert wait_quantile(waits, exact[1:4]) == pytest.approx(wait[1:4], rel=1e-6)
    assert np.isnan(wait_quantile(waits, np.array([1e-9]))[0])


class _Mixed(WaitLaw):
    """Short waits and rare ones 10,000 times as long: where Newton's steps leave the bracket."""

    share, each = np.array([0.99, 0.01]), np.array([1.0, 1e-4])
    rate = 1.0

    def transform(self, s: np.ndarray) -> np.ndarray:
        return (self.each / (self.each + s[:, None])) @ self.share

    def exact(self, wait: np.ndarray) -> np.ndarray:
        return np.exp(-self.each * wait[:, None]) @ self.share


def test_quantiles_of_a_law_of_two_scales() -> None:
    law, share = _Mixed(), np.array([0.999999, 0.9, 0.3, 0.02, 0.0105, 0.0095, 1e-3, 1e-5])
    found = wait_quantile(law, share)
    assert law.exact(found) == pytest.approx(share, abs=2e-8)
    assert np.all(np.diff(found) > 0)
    assert law.mean == pytest.approx(0.99 + 100.0)


@pytest.mark.parametrize("rule", ["rwsem", "reader_preference", "writer_preference"])
@pytest.mark.parametrize("stages", [1, 6])
def test_quantiles_leave_their_shares_beyond_them(rule: str, stages: int) -> None:
    chain = structure(Shape(12, 3, stages, True, rule))
    base = _base(_lock(fault_threads=12, writer_threads=3, shared=SHARED), stages)
    state = steady_state(chain, base)
    law = OvertakenWaits if rule == "writer_preference" else Waits
    waits = law.of(chain, state.flow[chain.blocking], base)
    share = np.array([0.999, 0.7, 0.2, 1e-2, 1e-4, 2e-6])
    found = wait_quantile(waits, share)
    assert waits.beyond(found) == pytest.approx(share, abs=1e-9)
    # What one transform gives is the law's own slope.
    step = 1e-4 * found
    slope = (waits.beyond(found - step) - waits.beyond(found + step)) / (2 * step)
    assert waits.tail_and_density(found)[1] == pytest.approx(slope, rel=1e-3, abs=1e-7 / waits.mean)


@pytest.mark.parametrize(
    ("rule", "states"),
    [("rwsem", 33_865), ("reader_preference", 841), ("writer_preference", 15_145)],
)
def test_64_threads_and_four_callers_fit(rule: str, states: int) -> None:
    answer = solve_chain(
        _lock(fault_threads=64, writer_threads=4, shared=SHARED, discipline=rule)
    )  # fmt: skip
    assert f"{states} states" in answer.solver
    assert answer.fault_rate[0] * (THINK + READ + answer.wait_mean[0]) == pytest.approx(64)


def test_too_large_a_question_names_its_size_and_the_limit() -> None:
    with pytest.raises(InputError, match=r"64 faulting threads.*states.*at most 1000000"):
        solve_chain(_lock(fault_threads=64, writer_threads=4, discipline="fifo"))
    with pytest.raises(InputError, match="13243 states in 44 numbers"):
        structure(Shape(2, 40, 1, False, "fifo"))


@pytest.mark.parametrize(
    ("bad", "more"),
    [
        ({"fault_threads": None, "fault_rate": 1e-5}, {}), ({"writer_rate": 1e-5}, {}),
        ({"io_share": 0.1, "io_time": 1e6}, {}), ({"writer_threads": 0}, {}),
        ({"fault_threads": -1}, {}), ({"fault_think": 0.0}, {}), ({"read_hold": 0.0}, {}),
        ({"writer_think": -1.0}, {}), ({}, {"stages": 0}),
        ({}, {"levels": (1.0,)}),
    ],
)  # fmt: skip
def test_what_the_chain_cannot_answer_is_refused(
    bad: dict[str, object], more: dict[str, object]
) -> None:
    with pytest.raises(InputError):
        solve_chain(_lock(**bad), **more)  # type: ignore[arg-type]


def test_a_chain_that_is_remembered_answers_the_next_rates_and_again_the_first() -> None:
    first, second = _lock(fault_threads=5), _lock(fault_threads=5, fault_think=700.0)
    alone = steady_state(structure(Shape(5, 1, 1, False, "rwsem")), _base(second, 1))
    chain = structure(Shape(5, 1, 1, False, "rwsem"))
    before = steady_state(chain, _base(first, 1))
    assert np.array_equal(steady_state(chain, _base(second, 1)).probability, alone.probability)
    assert np.array_equal(steady_state(chain, _base(first, 1)).probability, before.probability)
    assert not np.array_equal(before.probability, alone.probability)
