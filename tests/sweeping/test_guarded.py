"""Cuts with a guard over a grid: what `predict` says of them at each point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import perfmodel as pm
from perfmodel.machine import Machine
from perfmodel.sweeping import write_sweep
from perfmodel.sweeping.axes import axis_of
from perfmodel.sweeping.plan import make_plan

pytestmark = pytest.mark.xdist_group("compiled")

ASKED = ["net_gain", "guarded_gain", "guarded_safe"]


def test_each_guard_is_that_of_the_prediction(machine: Machine) -> None:
    policies = (pm.Policy.NONE, pm.Policy.LAST_VMA)
    scenario = pm.Scenario(machine, policies=policies)
    values = {"operation": ["mprotect", "munmap"], "pages": [2, 600], "vmas": [1, 3]}
    found = pm.sweep(scenario, values, draws=4, variables=ASKED)
    assert found["guarded_gain"].dims == ("operation", "pages", "vmas", "guarded", "bound")
    assert found["guarded_gain"].attrs["level"] == 0.9
    assert found.attrs["impossible_points"] == 2
    labels = [str(v) for v in found["guarded"].values]
    for pages, vmas in ((2, 1), (600, 1), (600, 3)):
        told = pm.predict(scenario.replace(pages=pages, vmas=vmas), draws=4, solver="closed")
        at = found.sel(operation="mprotect", pages=pages, vmas=vmas)
        here = [r for r in told.guarded if np.isfinite(r.net_gain[0])]
        assert len(here) == 5
        for result in here:
            label = f"{result.policy.value} with {result.single}"
            estimate, low, high = result.interval()
            np.testing.assert_allclose(
                at["guarded_gain"].sel(guarded=label), [low, estimate, high], rtol=1e-12
            )
            assert bool(at["guarded_safe"].sel(guarded=label)) == result.safety.safe
        assert np.isnan(at["guarded_gain"][labels.index("before-flush with mark")]).all()
    # There is nothing to guard where munmap downgrades already, and no scenario with more VMAs than pages.
    assert np.isnan(found["guarded_gain"].sel(operation="munmap")).all()
    assert np.isnan(found["guarded_gain"].sel(pages=2, vmas=3)).all()


def test_guards_alone_and_in_a_table(machine: Machine, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="the sweep extra is not installed")
    scenario = pm.Scenario(machine, policies=(pm.Policy.NONE, pm.Policy.LAST_VMA))
    plan = make_plan(scenario, [axis_of("pages", [1, 16])], draws=3, variables=ASKED[1:])
    assert plan.pointwise
    assert plan.block_points == 512
    path = tmp_path / "found.parquet"
    write_sweep(plan, path, workers=1)
    found = pm.sweep(scenario, pages=[1, 16], draws=3, variables=ASKED[1:])
    table = pq.read_table(path).to_pylist()
    assert len(table) == 4
    for row in table:
        at = found.sel(pages=row["pages"], guarded="last-vma with mark")
        for bound in ("low", "estimate", "high"):
            value = row[f"guarded_gain_last-vma with mark_{bound}"]
            assert value == float(at["guarded_gain"].sel(bound=bound))
        assert row["guarded_safe_last-vma with mark"] == bool(at["guarded_safe"])
