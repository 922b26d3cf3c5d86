"""Blocks computed by worker processes: a real scheduler, and a worker that is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import perfmodel as pm
from perfmodel.errors import InputError
from perfmodel.machine import Machine
from perfmodel.sweeping.axes import axis_of
from perfmodel.sweeping.files import compute
from perfmodel.sweeping.plan import Plan, make_plan
from perfmodel.sweeping.store import write_zarr

distributed = pytest.importorskip("distributed", reason="the sweep extra is not installed")

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as made:
        yield made


@pytest.fixture
def plan(machine: Machine) -> Plan:
    axes = [
        axis_of("pages", [1, 8, 64, 512]),
        axis_of("fault_rate", [1e3, 1e4, 1e5]),
        axis_of("vmas", [1, 2]),
    ]
    policies = (pm.Policy.LAST_VMA, pm.Policy.BEFORE_FLUSH)
    return make_plan(pm.Scenario(machine, policies=policies), axes, draws=2, block_points=2)


def test_a_killed_worker_changes_nothing(cluster: Any, plan: Plan, tmp_path: Path) -> None:
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        pids = client.run(os.getpid)
    assert len(set(pids.values())) == 2
    assert os.getpid() not in pids.values()
    victim = next(iter(pids.values()))
    killed: list[float] = []

    def kill(share: float) -> None:
        if not killed:
            killed.append(share)
            os.kill(victim, signal.SIGKILL)

    found = compute(plan, cluster=cluster.scheduler_address, progress=kill)
    assert killed == [1 / plan.blocks]
    local = compute(plan)
    xr.testing.assert_identical(found.drop_attrs(), local.drop_attrs())
    assert found.attrs == local.attrs
    pytest.importorskip("zarr")
    write_zarr(plan, tmp_path / "found.zarr", cluster=cluster.scheduler_address)
    stored = xr.open_dataset(
        tmp_path / "found.zarr", engine="zarr", consolidated=False, chunks=None
    )
    xr.testing.assert_equal(stored.load(), local)


def test_a_grid_of_simulations_and_a_fleet_of_runs_go_the_same_way(
    cluster: Any, machine: Machine, tmp_path: Path
) -> None:
    scenario = pm.Scenario(machine, policies=(pm.Policy.NONE, pm.Policy.LAST_VMA),
                           faults=pm.Faults(threads=2, think_us=20))  # fmt: skip
    plan = make_plan(
        scenario, [axis_of("pages", [1, 8, 64])], solver="simulation", draws=8, block_points=1
    )
    local = compute(plan, workers=1)
    assert local["answered_by"].values.tolist() == [2, 2, 2]
    gain = local["net_gain"].sel(policy="last-vma")
    assert (gain.sel(bound="low") < gain.sel(bound="high")).all()
    address = cluster.scheduler_address
    xr.testing.assert_identical(compute(plan, cluster=address), local)
    xr.testing.assert_identical(compute(plan, workers=2), local)
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "run.json").write_text("no run")
    found = pm.calibrate_fleet(tmp_path / "runs", tmp_path / "profiles", cluster=address)
    assert [(f.name, "run.json" in f.what) for f in found.failed] == [("one", True)]


def test_what_is_wrong_at_a_worker_is_told_here(cluster: Any, machine: Machine) -> None:
    # Calls are so rare that the simulation would meet hundreds of millions of faults before them.
    plan = make_plan(
        pm.Scenario(machine, faults=pm.Faults(rate=1e6), writers=pm.Writers(rate=0.01)),
        [axis_of("pages", [1])], solver="simulation", draws=1,
    )  # fmt: skip
    with pytest.raises(InputError, match="events"):
        compute(plan, cluster=cluster.scheduler_address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x"])
def test_a_cluster_that_is_not_there(
    plan: Plan, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perfmodel.sweeping.runners.TIMEOUT", 0.5)
    with pytest.raises(InputError, match="no scheduler answers"):
        compute(plan, cluster=address)
