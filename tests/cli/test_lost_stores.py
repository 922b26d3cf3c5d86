"""``perfmodel lost-stores``: what an unsafe cut would lose."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli, refused


def test_json_and_words_say_the_same(cli: Cli) -> None:
    words = ["lost-stores", "--machine", "xeon-vm-6.18", "--preset", "mail", "--forced-writes-per-s", 5,
             "--draws", 20]  # fmt: skip
    told = cli(*words, "--json").json
    assert told["schema"] == "perfmodel.lost-stores/1"
    cuts = {c["policy"]: c for c in told["cuts"]}
    assert set(cuts) == {"last-vma", "before-flush", "every-vma"}
    lost = cuts["last-vma"]["lost_per_hour"]
    assert 0 < lost["low"] <= lost["estimate"] <= lost["high"]
    assert cuts["last-vma"]["hours_to_the_first"] == pytest.approx(1 / lost["estimate"])
    ran = cli(*words)
    assert ran.status == 0
    assert "5 forced writes a second" in ran.out
    assert "debugger" in ran.out
    later = cli(*words, "--kernel", "6.1", "--json").json["cuts"]
    assert all(c["lost_per_hour"]["estimate"] == 0 for c in later)
    assert all(c["hours_to_the_first"] is None and not c["can_lose_a_store"] for c in later)
    assert "never" in cli(*words, "--kernel", "6.1").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--forced-writes-per-s", "-1"], "--forced-writes-per-s"),
        (["--stores-per-s", "many"], "--stores-per-s"),
        (["--copy-us", "nan"], "--copy-us"),
        (["--operation", "munmap"], "call.operation"),
    ],
)
def test_bad_input_is_refused(cli: Cli, words: list[str], said: str) -> None:
    refused(cli("lost-stores", "--machine", "xeon-vm-6.18", *words), said)
