"""simulate: every policy beside the closed form, reproducible, and bad input refused."""

from __future__ import annotations

import pytest

from perfmodel.rwlock.lock import DISCIPLINES

from .conftest import Cli, refused

QUICK = ("--calls", 500, "--fault-threads", 4, "--fault-think-us", 50)


def test_every_policy_stands_beside_the_closed_form(cli: Cli) -> None:
    ran = cli("simulate", *QUICK, "--json")
    assert ran.status == 0, ran.err
    answer = ran.json
    assert answer["schema"] == "perfmodel.simulation/1"
    assert [p["policy"] for p in answer["policies"]] == [
        "none", "last-vma", "before-flush", "every-vma", "read-only", "per-vma",
    ]  # fmt: skip
    for policy in answer["policies"]:
        for name in ("fault_wait_ns", "blocked_share", "acquire_ns", "faults_per_s", "calls_per_s"):
            mean = policy[name]
            assert mean.keys() == {"simulated", "half_width", "level", "closed_form", "z", "ratio"}
            assert mean["half_width"] >= 0
        assert policy["calls"] >= 500
        assert policy["closed_form"]["solver"]
    assert cli("simulate", *QUICK, "--json").json == answer
    assert cli("simulate", *QUICK, "--seed", 1, "--json").json != answer


def test_the_table_fits_and_says_what_it_rests_on(cli: Cli) -> None:
    ran = cli("simulate", *QUICK, "--corrections", "spin,steal")
    assert ran.status == 0
    assert max(map(len, ran.out.splitlines())) <= 100
    for words in ("fault wait", "closed form", "95 %", "wake, spin, steal", "central estimates"):
        assert words in ran.out


def test_a_discipline_without_a_closed_form_is_simulated_alone(cli: Cli) -> None:
    words = ("simulate", *QUICK, "--discipline", "reader_preference", "--policy", "none")
    only = cli(*words, "--json").json["policies"][0]
    assert only["closed_form"] is None
    assert only["fault_wait_ns"]["closed_form"] is None
    assert "n/a" in cli(*words).out


def test_threads_share_the_cpus_and_streams_do_not(cli: Cli) -> None:
    threads = ("simulate", *QUICK, "--writer-threads", 2, "--policy", "none", "--json")
    few, many = (cli(*threads, "--cpus", cpus).json["policies"][0] for cpus in (2, 6))
    assert few["faults_per_s"]["simulated"] < 0.6 * many["faults_per_s"]["simulated"]
    assert "2 CPUs" in few["solver"]
    assert "CPUs" not in many["solver"]
    stream = ("simulate", "--calls", 500, "--fault-rate", 20000, "--policy", "none", "--json")
    few, many = (
        cli(*stream, "--remote-cpus", 0, "--cpus", cpus).json["policies"] for cpus in (2, 6)
    )
    assert few == many


def test_the_help_has_an_example_that_runs(cli: Cli) -> None:
    out = " ".join(cli("simulate", "--help").out.split())
    words = out.split("perfmodel simulate --fault-threads")[1].split("│")[0].split()
    ran = cli("simulate", "--fault-threads", *words)
    assert ran.status == 0, ran.err
    assert "12 CPUs" in ran.out


def test_the_help_names_every_discipline(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = cli("simulate", "--help").out
    assert all(name in out for name in DISCIPLINES)


def test_a_rate_of_zero_is_an_answer(cli: Cli) -> None:
    for flag in ("--writer-rate", "--fault-rate"):
        ran = cli("simulate", "--calls", 300, flag, 0, "--json")
        assert ran.status == 0, ran.err
        assert ran.json["policies"][0]["fault_wait_ns"]["simulated"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--calls", 1), "--calls"),
        (("--calls", "many"), "--calls"),
        (("--seed", -1), "--seed"),
        (("--discipline", "lifo"), "--discipline"),
        (("--corrections", "magic"), "--corrections"),
        (("--corrections", "spin", "--discipline", "fifo"), "--corrections"),
        (("--pages", 0), "--pages"),
    ],
)
def test_bad_input_is_refused(cli: Cli, words: tuple[object, ...], said: str) -> None:
    refused(cli("simulate", "--calls", 300, *words), said)
