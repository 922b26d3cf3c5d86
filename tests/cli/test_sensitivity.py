"""sensitivity and claims on the command line."""

from __future__ import annotations

import shlex

import pytest

from .conftest import Cli, refused
from .test_help import examples


@pytest.mark.parametrize("verb", ["sensitivity", "claims"])
def test_help_ends_in_examples_that_run(
    cli: Cli, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ran = cli(verb, "--help")
    assert ran.status == 0
    found = examples(ran.out)
    assert found
    for line in found:
        answer = cli(*shlex.split(line)[1:])
        assert answer.status == 0, (line, answer.err)
        assert answer.out


def test_sensitivity_prints_a_tornado(cli: Cli) -> None:
    ran = cli("sensitivity", "--preset", "large", "--machine", "xeon-vm-6.18")
    assert ran.status == 0, ran.err
    assert ran.err == ""
    assert ran.out.index("wake_latency") > ran.out.index("pte")
    assert "+++" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100


def test_sensitivity_json_with_sobol(cli: Cli) -> None:
    ran = cli("sensitivity", "--preset", "mail", "--sobol", "--samples", 32, "--json")
    assert ran.status == 0, ran.err
    answer = ran.json
    assert answer["schema"] == "perfmodel.elasticities/1"
    assert answer["constants"][0]["name"] == answer["sobol"]["indices"][0]["name"] == "wake_latency"
    assert cli("sensitivity", "--preset", "mail", "--sobol", "--samples", 32).status == 0


def test_the_output_can_be_chosen(cli: Cli) -> None:
    words = (
        "sensitivity",
        "--preset",
        "mail",
        "--policy",
        "none",
        "--output",
        "exclusive",
        "--json",
    )
    assert cli(*words).json["output"] == "exclusive"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--output", "beauty"), ("--output", "net_gain")),
        (("--samples", "100", "--sobol"), ("--samples", "power of two")),
        (("--samples", "few"), ("--samples",)),
        (("--policy", "all,none"), ("policy",)),
        (("--policy", "none"), ("--policy", "other than none")),
        (("--policy", "read-only", "--output", "exclusive"), ("--output", "zero")),
    ],
)
def test_what_sensitivity_refuses(cli: Cli, words: tuple[str, ...], said: tuple[str, ...]) -> None:
    refused(cli("sensitivity", *words), *said)


def test_claims_prints_every_claim(cli: Cli) -> None:
    ran = cli("claims", "--machine", "xeon-vm-6.18", "--draws", 20)
    assert ran.status == 0, ran.err
    for name in ("C1", "C2", "C3", "C4", "C5", "C6", "2006"):
        assert f"\n{name}: " in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    assert len(cli("claims", "--draws", 3, "--json").json["claims"]) == 7
    refused(cli("claims", "--draws", "0"), "--draws")
