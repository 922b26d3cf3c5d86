"""Profiles put together from published figures: what the script makes, marked for what they are."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("yaml")

import perfmodel as pm
from perfmodel.machine import CONSTANTS, Machine, shipped_profiles
from perfmodel.presets import PRESETS
from perfmodel.published import load_published
from perfmodel.published.composite import BASE, COMPOSITES, USED, composite
from perfmodel.report.machine import differences, origin

SCRIPT = Path(__file__).parents[2] / "calibration" / "composites.py"


def test_the_shipped_composites_are_what_the_script_makes() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_measured_profiles_come_first() -> None:
    # The first one is the default of every verb.
    evidence = [Machine.load(name).evidence for name in shipped_profiles()]
    assert evidence == sorted(evidence, key=["measured", "published"].index)
    assert next(iter(shipped_profiles())) == BASE


@pytest.mark.parametrize("name", COMPOSITES)
def test_every_constant_says_what_it_rests_on(name: str) -> None:
    machine = Machine.load(name)
    assert machine.evidence == "published"
    assert "Composite" in machine.description
    assert set(machine.constants) == set(CONSTANTS)
    assert [f.file for f in machine.inputs] == ["published.yaml", f"{BASE}.json"]
    assert machine.inputs[1].sha256 == Machine.load(BASE).sha256
    published = load_published()
    for constant in machine.constants.values():
        assert constant.source != "fit"
        assert origin(constant) in ("published", "derived", "assumed", "unknown")
        if constant.source.startswith("published: ") and ", " in constant.source:
            quoted = constant.source.removeprefix("published: ").split(",")[0]
            if quoted in published.constants:
                assert quoted in USED[name]
        if constant.value:
            # Never surer than a factor of 1.5 either way: machines of a class differ.
            assert constant.log_sd >= math.log(1.5) / 1.645 - 1e-3
        else:
            assert constant.reason


@pytest.mark.parametrize("name", COMPOSITES)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_predicted_on_every_composite(name: str, preset: str) -> None:
    scenario = pm.Scenario.from_dict(PRESETS[preset].parameters, machine=Machine.load(name))
    found = pm.predict(scenario, draws=2, levels=(), solver="closed")
    for result in found.results:
        if not result.reason:
            assert np.isfinite(result.hold.call).all()
    assert found.to_dict()["machine"]["evidence"] == "published"


def test_what_the_scale_errs_by_all_of_it_errs_by() -> None:
    drawn = Machine.load("two-socket-server").draws(4000)
    logs = np.log([drawn["split"][1:], drawn["vma_fixup"][1:], drawn["zap"][1:]])
    correlation = np.corrcoef(logs)
    assert correlation[0, 1] > 0.9
    assert abs(correlation[0, 2]) < 0.1


def test_a_published_figure_moves_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    published = load_published()
    before = composite("two-socket-server", published)
    faults = published.constants["fault_minor"]
    doubled = [type(f)(value=2 * f.value, unit=f.unit, machine=f.machine, kernel=f.kernel,
                       what=f.what) for f in faults.figures]  # fmt: skip
    monkeypatch.setitem(
        published.constants, "fault_minor",
        type(faults)(id=faults.id, quantity=faults.quantity, evidence=faults.evidence,
                     basis=faults.basis, source=faults.source, figures=doubled),
    )  # fmt: skip
    after = composite("two-socket-server", published)
    changed = {d.name for d in differences(before, after) if d.first != d.second}
    assert changed == {"fault_minor", "fault_hold"}
    assert after.value("fault_minor") == pytest.approx(2 * before.value("fault_minor"), rel=1e-3)
