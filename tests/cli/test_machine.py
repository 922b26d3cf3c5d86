"""``perfmodel machine``: profiles listed, shown, and held beside each other."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from perfmodel.machine import CONSTANTS, Constant, Machine
from perfmodel.report.machine import differences

from .conftest import Cli, refused


def test_list_says_what_each_rests_on(cli: Cli) -> None:
    told = {m["name"]: m["evidence"] for m in cli("machine", "list", "--json").json}
    assert told["xeon-vm-6.18"] == "measured"
    assert told["two-socket-server"] == told["laptop"] == told["arm-phone"] == "published"


def test_show_marks_a_composite(cli: Cli) -> None:
    ran = cli("machine", "show", "laptop")
    assert ran.status == 0
    assert "Evidence: published" in ran.out
    assert "munmap_per_vma" in " ".join(ran.out.split()).replace(" ", "")


def test_diff_of_a_profile_with_itself_is_none(machine: Machine) -> None:
    for d in differences(machine, machine):
        assert math.isnan(d.ratio) or d.ratio == 1.0
        assert not d.differs


def test_diff_counts_in_joint_spreads(machine: Machine) -> None:
    def with_pte(value: float | None, log_sd: float) -> Machine:
        constants = dict(machine.constants)
        constants["pte"] = Constant(value=value, unit="ns", source="published: x", log_sd=log_sd)
        return replace(
            machine, constants=constants, covariance_names=(), covariance=np.zeros((0, 0))
        )

    by = {d.name: d for d in differences(with_pte(10.0, 0.3), with_pte(20.0, 0.4))}
    assert by["pte"].ratio == 2.0
    assert by["pte"].spreads == pytest.approx(math.log(2) / 0.5)
    assert not by["pte"].differs
    by = {d.name: d for d in differences(with_pte(10.0, 0.03), with_pte(20.0, 0.04))}
    assert by["pte"].differs
    by = {d.name: d for d in differences(with_pte(None, 0.3), with_pte(20.0, 0.4))}
    assert math.isnan(by["pte"].ratio)
    assert not by["pte"].differs


def test_diff_on_the_command_line(cli: Cli, tmp_path: Path) -> None:
    ran = cli("machine", "diff", "xeon-vm-6.18", "two-socket-server", "--json")
    told = ran.json
    assert [m["evidence"] for m in told["machines"]] == ["measured", "published"]
    assert [c["name"] for c in told["constants"]] == list(CONSTANTS)
    by = {c["name"]: c for c in told["constants"]}
    assert by["wake_latency"]["differs"]
    shown = cli("machine", "diff", "xeon-vm-6.18", "two-socket-server")
    assert f"{sum(c['differs'] for c in told['constants'])} of {len(CONSTANTS)}" in shown.out
    json.dumps(told, allow_nan=False)
    refused(cli("machine", "diff", "xeon-vm-6.18", "nosuch"), "nosuch")
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    refused(cli("machine", "diff", str(bad), "laptop"), "schema")
