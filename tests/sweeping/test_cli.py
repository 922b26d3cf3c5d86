from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import perfmodel as pm
from perfmodel.cli import main

Ran = tuple[int, str, str]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*words: object) -> Ran:
        capsys.readouterr()
        status = main([str(w) for w in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


SMALL = ("sweep", "--over", "pages=1:256:log3", "--over", "kernel=5.11,6.18", "--policy",
         "last-vma,per-vma", "--draws", 3)  # fmt: skip


def test_every_point_has_its_line(cli: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    status, out, _ = cli(*SMALL)
    assert status == 0
    lines = [line.split() for line in out.splitlines() if re.match(r"\s*\d+ +[56]\.1", line)]
    assert [(a, b) for a, b, *_ in lines] == [
        (p, k) for p in ("1", "16", "256") for k in ("5.11", "6.18")
    ]
    assert "per-vma: no answer at 3 points" in " ".join(out.split())
    told = pm.predict(
        pm.Scenario(machine="xeon-vm-6.18", call=pm.Call(pages=16),
                    policies=(pm.Policy.LAST_VMA, pm.Policy.PER_VMA)),
        draws=3, solver="closed", guards=False,
    ).verdict  # fmt: skip
    assert told.answer in " ".join(lines[2])
    assert told.policy in lines[2]


def test_json_is_the_dataset(cli: Callable[..., Ran]) -> None:
    status, out, _ = cli(*SMALL, "--variables", "net_gain,verdict", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["schema"] == "perfmodel.sweep/1"
    assert set(found["data_vars"]) == {"net_gain", "verdict"}
    assert found["dims"] == {"pages": 3, "kernel": 2, "policy": 3, "bound": 3}
    # Under 6.18 every fault has its VMA's lock: a policy that is what the kernel does is unknown.
    assert found["data_vars"]["net_gain"]["data"][0][1][2] == [None, None, None]
    again = xr.Dataset.from_dict({k: v for k, v in found.items() if k != "schema"})
    assert again["verdict"].attrs["flag_meanings"].startswith("unknown pays")


@pytest.mark.parametrize("suffix", ["nc", "zarr", "parquet"])
def test_it_writes_what_the_suffix_says(
    cli: Callable[..., Ran], tmp_path: Path, suffix: str
) -> None:
    if suffix != "nc":
        pytest.importorskip({"zarr": "zarr", "parquet": "pyarrow"}[suffix])
    path = tmp_path / f"found.{suffix}"
    words = (*SMALL, "--variables", "verdict", "-o", path)
    status, out, err = cli(*words)
    assert (status, out) == (0, "")
    assert f"written: {path}" in err
    assert cli(*words)[0] == 2
    assert cli(*words, "--force")[0] == 0
    if suffix == "nc":
        assert xr.load_dataset(path, engine="scipy")["verdict"].dims == ("pages", "kernel")


def test_the_cost_is_said_before(cli: Callable[..., Ran], tmp_path: Path) -> None:
    path = tmp_path / "found.nc"
    words = (
        "sweep",
        "--over",
        "pages=1:64:log7",
        "--over",
        "cpus=1:48:lin8",
        "--draws",
        40,
        "-o",
        path,
    )
    status, out, err = cli(*words, "--dry-run")
    assert (status, out) == (0, "")
    assert re.search(r"56 points, 6 policies, 1 block: .* on one worker, .* not compressed", err)
    assert not path.exists()
    status, out, _ = cli(*words, "--dry-run", "--json")
    cost = json.loads(out)
    assert cost["points"] == 56
    plan_bytes = cost["bytes"]
    assert cli(*words)[0] == 0
    found = xr.load_dataset(path, engine="scipy")
    assert plan_bytes == sum(v.nbytes for v in found.data_vars.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--over", "page=1,2"), "cannot sweep 'page'; do you mean pages"),
        (("--over", "pages"), "--over: 'pages' has no values"),
        (("--over", "pages=0,2"), "pages: 0.0 is out of range"),
        (("--over", "pages=4,2,8"), "neither rise nor fall"),
        (("--over", "pages=1,2", "--variables", "gain"), "--variables: there is no variable 'gain'"),
        (("--over", "pages=1,2", "--solver", "best"), "--solver: there is no solver"),
        (("--over", "pages=1,2", "-o", "found.xls"), "is no format"),
        (("--over", "pages=1,2", "--over", "vmas=1", "--zip"), "--zip: the values do not go together"),
        (("--over", "pages=1:100000:lin100000", "--over", "cpus=1:100:lin100", "--draws", "1"),
         "--over: 10,000,000 points take"),
        (("--over", "pages=1,2", "--workers", "0"), "--workers: 0 is out of range"),
    ],
)  # fmt: skip
def test_bad_input_is_one_paragraph(cli: Callable[..., Ran], words: tuple, said: str) -> None:
    status, out, err = cli("sweep", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("perfmodel: error: ")


def test_the_help_ends_in_examples_that_run(
    cli: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    # Nothing is to be compiled for a probe.
    monkeypatch.setattr("perfmodel.sweeping.preview.compiles", lambda _: False)
    status, out, _ = cli("sweep", "--help")
    assert status == 0
    examples: list[Any] = re.findall(r"perfmodel sweep .*", out[out.index("Examples:") :])
    assert len(examples) == 3
    for line in examples:
        words = shlex.split(line)[1:]
        status, _, err = cli(*words, "--dry-run")
        assert status == 0, (line, err)
        assert "points, 6 policies" in err
