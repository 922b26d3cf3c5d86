"""The measuring program, in tiny doses on a real kernel, and a recorded run of two configurations."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from perfmodel.counterfactual import Constants, grid, load, record
from perfmodel.counterfactual.slices import COLUMNS, Record
from perfmodel.errors import InputError
from perfmodel.measure.build import Toolset

pytestmark = pytest.mark.xdist_group("measure")

CPUS = len(os.sched_getaffinity(0))


def told(tools: Toolset, *arguments: str) -> list[dict]:
    done = subprocess.run(
        [tools.program("downgrade"), *arguments],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def one_record(tools: Toolset, *arguments: str) -> Record:
    (found,) = told(tools, "--pairs", "6", "--slice-us", "4000", "--settle-us", "1000",
                    "--warm-up-ms", "5", *arguments)  # fmt: skip
    return msgspec.convert(found | {"configuration": vars(grid()[0])}, Record)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--readers", "3", "--writers", "2", "--call-law", "heavy", "--read-law", "rare", "--spin"),
        ("--readers", "3", "--think", "sleep", "--read-think-ns", "200000"),
        ("--readers", "2", "--writers", "2", "--quantum-us", "100"),
    ],
    ids=["one of each", "crowd", "asleep", "short slices"],
)
def test_slices_come_in_pairs_and_add_up(tools: Toolset, arguments: tuple[str, ...]) -> None:
    found = one_record(tools, *arguments)
    assert set(COLUMNS) <= set(found.columns)
    assert found.count_at_end == found.waiting_at_end == 0
    assert np.array_equal(found.column("arm"), np.tile([0.0, 1.0], (6, 1)))
    assert (found.column("ns") >= 4e6).all()
    assert (found.column("reads").sum(axis=0) > 0).all()
    assert (found.column("reads_blocked") <= found.column("reads")).all()
    # Who went through the list waited: the histogram has them, and those the spinning ones skip.
    for arm, waits in enumerate(found.waits):
        assert sum(waits.count) >= found.column("reads_blocked")[:, arm].sum()
        assert waits.low == sorted(set(waits.low))


def test_both_arms_hold_the_lock_for_as_long(tools: Toolset) -> None:
    # Nobody reads while the caller works: a call is its two parts, downgraded or not.
    found = one_record(tools, "--read-think-ns", "1000000000", "--think", "sleep",
                       "--exclusive-ns", "100000", "--shared-ns", "200000",
                       "--write-think-ns", "10000", "--pairs", "12")  # fmt: skip
    call = found.column("call_ns").sum(axis=0) / found.column("calls").sum(axis=0)
    # The work is so many turns of a loop: no shorter than asked for, whoever disturbs.
    assert (call > 290_000).all()


def test_the_order_of_the_arms_depends_on_the_seed_alone(tools: Toolset) -> None:
    def order(seed: str) -> list[int]:
        (found,) = told(tools, "--pairs", "8", "--slice-us", "1000", "--settle-us", "0",
                        "--warm-up-ms", "1", "--seed", seed)  # fmt: skip
        return [row[0] for row in found["slices"]]

    assert order("3") == order("3")
    assert order("3") != order("5")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--call-law", "uniform"], "'uniform' is not constant, exponential, heavy or rare"),
        (["--think", "walk"], "'walk' is neither run nor sleep"),
        (["--readers", "0"], "must be 1 or more"),
        (["--slice-us", "10"], "1000 or more"),
        (["--bogus"], "'--bogus' is not an option"),
    ],
)
def test_a_wrong_option_is_told_in_a_sentence(
    tools: Toolset, arguments: list[str], said: str
) -> None:
    done = subprocess.run([tools.program("downgrade"), *arguments], capture_output=True, text=True,
                          check=False, timeout=30)  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("downgrade: ")


@pytest.mark.skipif(CPUS < 2, reason="waking an idle CPU needs two of them")
def test_a_recorded_run_can_be_read_and_asked(tmp_path: Path, tools: Toolset) -> None:
    some = [grid()[0], replace(grid()[60], spin=True)]
    path = record(tmp_path / "new" / "downgrade-9.json", milliseconds=60, configurations=some,
                  patience_s=0, cache=tools.folder.parent)  # fmt: skip
    run = load(path)
    assert [r.configuration for r in run.records] == some
    assert run.cpus == CPUS
    constants = Constants.of(run)
    assert 0 < constants.read_pair < constants.write_downgrade_read + constants.write_pair
    assert np.all(np.diff(constants.asleep) > 0)
    assert np.all(constants.latency > 0)


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path: Path, tools: Toolset) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        record(tmp_path / "file" / "run.json", cache=tools.folder.parent, patience_s=0)
