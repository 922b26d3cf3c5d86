"""Every verb's help has an example that runs, and no option value gives a traceback."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel.cli import main

from .conftest import Cli

VERBS = ("predict", "break-even", "measure", "read", "calibrate", "figures", "report", "machine",
         "machine list", "machine show", "sensitivity", "claims", "simulate", "safety", "lost-stores",
         "validate", "published", "machine diff", "sweep", "compare", "calibrate-fleet", "write-up",
         "experiment", "experiment predict", "experiment compare",
         "explore")  # fmt: skip

#: Verbs whose examples take no files and no minutes.
CHEAP = ("predict", "break-even", "machine", "machine list", "machine show")


def examples(text: str) -> list[str]:
    """Return the example lines at the end of a help."""
    tail = text[re.search(r"Examples?:", text).start() :]
    return re.findall(r"perfmodel [a-z].*", tail)


@pytest.mark.parametrize("verb", VERBS)
def test_help_ends_in_an_example(cli: Cli, verb: str, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ran = cli(*verb.split(), "--help")
    assert ran.status == 0
    found = examples(ran.out)
    assert found
    for line in found:
        words = shlex.split(line)
        assert words[0] == "perfmodel"
        if verb in CHEAP:
            answer = cli(*words[1:])
            assert answer.status == 0, (line, answer.err)
            assert answer.out


def test_the_root_help_names_every_verb(cli: Cli) -> None:
    for words in ((), ("--help",)):
        ran = cli(*words)
        assert ran.status == 0
        assert all(verb.split()[0] in ran.out for verb in VERBS)


_TEXT = st.one_of(
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12),
    st.sampled_from(["nan", "-inf", "1e309", "-0", "0x10", "1_0", "", "٣", "--json", "9" * 4000]),
    st.integers(-10, 10**12).map(str),
    st.sampled_from(["0", "1", "2", "0.5", "1e-300", "65530", "65536", "8192", "1e9", "1e12"]),
    st.floats().map(str),
)
_FLAGS = st.sampled_from(
    ["--pages", "--vmas", "--splits", "--merges", "--populated", "--remote-cpus", "--fault-threads",
     "--fault-think-us", "--fault-rate", "--same-vma", "--first-touch", "--io-share", "--io-us",
     "--writer-threads", "--writer-think-us", "--writer-rate", "--cpus", "--kernel", "--operation",
     "--transition", "--policy", "--machine", "--preset", "--scenario"]
)  # fmt: skip


@pytest.mark.parametrize("flag", ["--writer-rate", "--fault-rate", "--fault-think-us", "--io-us"])
def test_a_rate_or_time_of_zero_is_an_answer(cli: Cli, flag: str) -> None:
    assert cli("predict", flag, 0, "--draws", 2, "--json").status == 0
    assert cli("predict", flag, 0, "--draws", 2).status == 0


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(_FLAGS, _TEXT), min_size=1, max_size=4))
def test_random_options_never_give_a_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, given_options: list[tuple[str, str]]
) -> None:
    if any(flag == "--scenario" and value == "-" for flag, value in given_options):
        return
    words = [f"{flag}={value}" for flag, value in given_options]
    status = main(["predict", "--draws", "2", "--json", *words])
    captured = capsys.readouterr()
    assert status in (0, 2)
    assert (status == 2) == (captured.out == "")
    assert "Traceback" not in captured.err
    if status == 2:
        assert captured.err.splitlines()[-1].startswith("perfmodel: error: ")
