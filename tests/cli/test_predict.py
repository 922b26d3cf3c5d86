"""predict: the verdict, its JSON, presets, and scenarios that go out and come back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from perfmodel.presets import PRESETS
from perfmodel.quantities import SCENARIO
from perfmodel.scenario import OPERATIONS, TRANSITIONS, Call, Faults, Policy, Writers

from .conftest import Cli, refused

POLICY_KEYS = {
    "policy", "safe", "why_unsafe", "exclusive_ns", "shared_ns", "call_ns", "acquire_ns",
    "fault_wait_ns", "blocked_share", "faults_per_s", "calls_per_s", "net_gain_ns_per_call", "p_pays",
}  # fmt: skip


def test_the_json_has_what_the_design_promises(cli: Cli) -> None:
    ran = cli("predict", "--preset", "large", "--draws", 30, "--json")
    assert ran.status == 0
    answer = ran.json
    assert answer["schema"] == "perfmodel.prediction/1"
    assert {"name", "sha256"} <= answer["machine"].keys()
    assert [p["policy"] for p in answer["policies"]] == [
        "none", "last-vma", "before-flush", "every-vma", "read-only", "per-vma",
    ]  # fmt: skip
    for policy in answer["policies"]:
        assert policy.keys() >= POLICY_KEYS
        assert policy["fault_wait_ns"].keys() >= {"mean", "p50", "p90", "p99"}
        assert policy["net_gain_ns_per_call"].keys() == {"estimate", "low", "high", "level"}
        assert (policy["why_unsafe"] is None) == policy["safe"]
    assert answer["verdict"].keys() >= {
        "answer", "policy", "sentence", "best_safe_policy", "calls_to_detect",
    }  # fmt: skip
    assert answer["verdict"]["answer"] == "unsafe"
    assert {"solver", "discipline", "stated_error", "warnings"} <= answer.keys()
    assert answer["scenario"]["call"]["pages"] == 16384
    assert "NaN" not in ran.out


def test_safety_comes_before_gain(cli: Cli) -> None:
    ran = cli("predict", "--preset", "large", "--draws", 30)
    assert ran.status == 0
    text = ran.out
    assert text.index("UNSAFE") < text.index("thread time") < text.index("net gain")
    assert "measured" in text
    assert "30 draws" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_scenario_goes_out_and_comes_back(cli: Cli, tmp_path: Path) -> None:
    options = ("--pages", 300, "--vmas", 3, "--fault-threads", 7, "--fault-think-us", 5.5, "--kernel",
               "6.1", "--writer-rate", 250, "--policy", "none,last-vma", "--cpus", 12)  # fmt: skip
    first = cli("predict", *options, "--draws", 20, "--json").json
    inner, whole = tmp_path / "scenario.json", tmp_path / "prediction.json"
    inner.write_text(json.dumps(first["scenario"]))
    whole.write_text(json.dumps(first))
    for path in (inner, whole):
        assert cli("predict", "--scenario", path, "--draws", 20, "--json").json == first


def test_options_override_the_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"call": {"pages": 64}, "faults": {"rate": 1000.0}}))
    kept = cli("predict", "--scenario", path, "--fault-threads", 4, "--draws", 1, "--json").json
    assert kept["scenario"]["call"]["pages"] == 64
    assert kept["scenario"]["faults"]["rate"] is None
    assert kept["scenario"]["faults"]["threads"] == 4
    turned = cli("predict", "--scenario", path, "--pages", 8, "--draws", 1, "--json").json
    assert turned["scenario"]["call"]["pages"] == 8
    assert turned["scenario"]["faults"]["rate"] == 1000.0


def test_what_is_not_given_has_the_defaults_of_the_classes(cli: Cli) -> None:
    scenario = cli("predict", "--draws", 1, "--json").json["scenario"]
    for part, default in (("call", Call()), ("faults", Faults()), ("writers", Writers())):
        assert scenario[part] == {k: getattr(default, k) for k in scenario[part]}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets(cli: Cli, name: str) -> None:
    ran = cli("predict", "--preset", name, "--draws", 3)
    assert ran.status == 0
    assert "Traceback" not in ran.err


def test_presets_are_listed_with_their_sources(cli: Cli) -> None:
    ran = cli("predict", "--preset", "list")
    assert ran.status == 0
    assert all(name in ran.out for name in PRESETS)
    listed = cli("predict", "--preset", "list", "--json").json
    assert {p["name"] for p in listed} == set(PRESETS)
    assert all(p["source"] and p["sentence"] for p in listed)


def test_the_preset_of_the_mail_is_lost_in_the_noise(cli: Cli) -> None:
    verdict = cli("predict", "--preset", "mail", "--draws", 30, "--json").json["verdict"]
    assert verdict["if_safe"] == "lost in the noise"


def test_the_help_names_what_the_code_knows(cli: Cli) -> None:
    """The names are written out in the help so that it need not import numpy: keep them in step."""
    from perfmodel.cli.scenario_options import OPTIONS

    words = " ".join(o.help for o in OPTIONS)
    for name in (*OPERATIONS, *TRANSITIONS, *(p.value for p in Policy)):
        assert name in words
    used = {o.quantity for o in OPTIONS if o.quantity}
    assert used == set(SCENARIO), "every declared quantity of a scenario has an option"


def test_an_unknown_cost_is_said_and_is_null(cli: Cli, machine, tmp_path: Path) -> None:
    from dataclasses import replace

    from perfmodel.machine import Constant

    lost = Constant(value=None, unit="ns", source="none", reason="nobody looked")
    path = replace(machine, name="partial", constants={**machine.constants, "pte": lost},
                   covariance_names=(), covariance=[]).save(tmp_path / "partial.json")  # fmt: skip
    ran = cli("predict", "--machine", path, "--draws", 5)
    assert ran.status == 0
    assert "nan" not in ran.out.lower().replace("nanosec", "")
    assert "unknown" in ran.out
    assert "nobody looked" in ran.out
    assert (
        cli("predict", "--machine", path, "--draws", 5, "--json").json["verdict"]["answer"]
        == "unknown"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pages", "-5"), "--pages: -5 is out of range. Expected a whole number from 1"),
        (("--pages", "abc"), "--pages: 'abc' is not a number"),
        (("--pages", "2.5"), "--pages: 2.5 is not a whole number"),
        (("--pages", "inf"), "--pages: inf is out of range"),
        (("--populated", "nan"), "--populated: the value is NaN"),
        (("--io-us", "-1"), "--io-us: -1.0 is out of range"),
        (("--vmas", "9", "--pages", "2"), "--vmas: 9 VMAs cannot share 2 page(s)"),
        (("--kernel", "2.6"), "--kernel: no facts are known for kernel 2.6"),
        (("--kernel", "bookworm"), "--kernel: 'bookworm' is not a kernel release"),
        (("--operation", "fork"), "--operation: there is no operation 'fork'"),
        (("--transition", "R->X"), "--transition: there is no transition 'R->X'"),
        (("--policy", "maybe"), "--policy: there is no policy 'maybe'"),
        (("--machine", "nobody"), "--machine: there is no profile 'nobody'"),
        (("--machine", "x" * 5000), "--machine"),
        (("--preset", "nope"), "--preset: there is no preset 'nope'. Expected one of mail"),
        (("--fault-rate", "5", "--fault-threads", "3"), "--fault-rate, --fault-threads: both"),
        (("--draws", "0"), "--draws: 0 is out of range"),
        (("--draws", "1e12"), "--draws"),
        (("--scenario", "/nonexistent.json"), "/nonexistent.json: --scenario: cannot be read"),
        (("--scenario", "x", "--preset", "mail"), "--preset, --scenario: both are given"),
        (("--nonsense",), "--nonsense"),
        (("surplus",), "surplus"),
        (("--pages",), "--pages"),
    ],
)
def test_bad_options(cli: Cli, words: tuple[str, ...], said: str) -> None:
    refused(cli("predict", *words), said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ('{"call": {', "not JSON"),
        ("[1]", "not an object"),
        ("[" * 100_000, "not JSON"),
        ('{"schema": "perfmodel.scenario/9"}', "the schema is 'perfmodel.scenario/9'"),
        ('{"colour": 1}', "colour: there is no such field"),
        ('{"call": {"pages": -5}}', "call.pages: -5 is out of range"),
        ('{"call": {"pages": NaN}}', "call.pages: the value is NaN"),
        ('{"call": {"pages": null}}', "call.pages"),
        ('{"call": {"pages": true}}', "call.pages: True is not a number"),
        ('{"call": {"populated": 1e400}}', "call.populated: inf is out of range"),
        ('{"call": {"huge": "no"}}', "call.huge"),
        ('{"call": []}', "call: [] is not an object"),
        ('{"faults": {"rate": 1, "threads": 2}}', "faults: both a rate"),
        ('{"kernel": 5.11}', "kernel: 5.11 is not a string"),
        ('{"cpus": "many"}', "cpus: 'many' is not a number"),
        ('{"policies": ["x"]}', "policy: there is no policy 'x'"),
        ('{"policies": 7}', "policies"),
        ('{"machine": 7}', "there is no profile"),
    ],
)
def test_bad_scenario_files(cli: Cli, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    refused(cli("predict", "--scenario", path), said)


def test_a_scenario_that_is_no_text(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xff")
    refused(cli("predict", "--scenario", path), "picture.png", "not UTF-8")
    refused(cli("predict", "--scenario", tmp_path), "cannot be read")


def test_a_newer_kernel_warns_on_stderr_only(cli: Cli) -> None:
    ran = cli("predict", "--kernel", "7.3", "--draws", 1, "--json")
    assert ran.status == 0
    assert "perfmodel: warning: kernel 7.3 is newer" in ran.err
    assert ran.json["scenario"]["kernel"] == "7.3"


def test_break_even_json_and_text(cli: Cli) -> None:
    words = ("break-even", "--over", "same-vma", "--kernel", "6.18", "--pages", 16, "--points", 7,
             "--draws", 20)  # fmt: skip
    ran = cli(*words, "--json")
    assert ran.status == 0
    answer = ran.json
    assert answer.keys() >= {"schema", "scenario", "over", "unit", "policy", "answer", "safe", "roots",
                             "grid", "net_gain_ns_per_call"}  # fmt: skip
    assert len(answer["grid"]) == len(answer["net_gain_ns_per_call"]) == 7
    text = cli(*words, "--policy", "last-vma").out
    assert "last-vma" in text
    assert "|" in text
    refused(cli("break-even", "--over", "moon"), "--over: cannot sweep 'moon'")
    refused(cli("break-even", "--policy", "last-vma,read-only"), "--policy")
    refused(cli("break-even", "--policy", "none"), "--policy")
    refused(cli("break-even", "--points", "1"), "--points: 1 is out of range")


def test_the_module_runs_and_the_help_is_light() -> None:
    code = (
        "import sys; from perfmodel.cli import main; main(['predict', '--help']);"
        "heavy = {'numpy', 'sympy', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
    ran = subprocess.run([sys.executable, "-m", "perfmodel", "--version"], check=True, text=True,
                         capture_output=True, timeout=60)  # fmt: skip
    assert ran.stdout.startswith("perfmodel ")
    bad = subprocess.run([sys.executable, "-m", "perfmodel", "predict", "--pages", "-5"], text=True,
                         capture_output=True, timeout=60, check=False)  # fmt: skip
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.count("\n") == 1
