"""What a sweep writes: whole or not there, the same numbers, resumable, in bounded memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import perfmodel as pm
from perfmodel.errors import InputError, MissingExtraError
from perfmodel.machine import Machine
from perfmodel.sweeping import write_sweep
from perfmodel.sweeping.axes import axis_of
from perfmodel.sweeping.files import compute
from perfmodel.sweeping.plan import Plan, make_plan
from perfmodel.sweeping.store import write_zarr

pytestmark = pytest.mark.xdist_group("compiled")

VALUES: dict[str, Any] = {"pages": [1, 16, 256], "kernel": ["5.11", "6.18"], "vmas": [1, 4]}
POLICIES = (pm.Policy.NONE, pm.Policy.LAST_VMA, pm.Policy.PER_VMA)


@pytest.fixture(scope="module")
def plan(machine: Machine) -> Plan:
    axes = [axis_of(n, v) for n, v in VALUES.items()]
    return make_plan(pm.Scenario(machine, policies=POLICIES), axes, draws=4, block_points=3)


@pytest.fixture(scope="module")
def whole(plan: Plan) -> xr.Dataset:
    return compute(plan)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    xr.testing.assert_equal(one, other)
    assert {k: str(v) for k, v in one.attrs.items()} == {k: str(v) for k, v in other.attrs.items()}
    for name in one.variables:
        assert set(one[name].attrs) == set(other[name].attrs), name
        assert one[name].attrs["long_name" if name != "level" else "units"]


def test_blocks_make_the_whole(plan: Plan, whole: xr.Dataset, machine: Machine) -> None:
    assert plan.blocks > 3
    again = pm.sweep(pm.Scenario(machine, policies=POLICIES), VALUES, draws=4)
    xr.testing.assert_allclose(whole, again, rtol=1e-12)
    assert whole.attrs == again.attrs


def test_threads_give_the_same(plan: Plan, whole: xr.Dataset) -> None:
    told: list[float] = []
    same(compute(plan, workers=2, progress=told.append), whole)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) == plan.blocks


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_file_holds_what_memory_would(
    plan: Plan, whole: xr.Dataset, tmp_path: Path, machine: Machine, suffix: str
) -> None:
    if suffix == ".zarr":
        pytest.importorskip("zarr", reason="the sweep extra is not installed")
    path = tmp_path / f"found{suffix}"
    how: dict[str, Any] = {"draws": 4, "block_points": 3, "path": path}
    same(pm.sweep(pm.Scenario(machine, policies=POLICIES), VALUES, **how).load(), whole)
    assert names(tmp_path) == [path.name]
    with pytest.raises(InputError, match="exists and is not overwritten"):
        pm.sweep(pm.Scenario(machine, policies=POLICIES), VALUES, **how)
    replaced = pm.sweep(
        pm.Scenario(machine, policies=POLICIES), VALUES, **{**how, "draws": 1}, force=True
    )
    assert "bound" not in replaced.coords
    assert names(tmp_path) == [path.name]


def test_a_table_has_a_row_for_each_point_and_policy(
    plan: Plan, whole: xr.Dataset, tmp_path: Path
) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="the sweep extra is not installed")
    path = tmp_path / "found.parquet"
    write_sweep(plan, path)
    assert names(tmp_path) == [path.name]
    table = pq.read_table(path)
    assert table.num_rows == plan.size * len(plan.policies)
    said = json.loads(pq.ParquetFile(path).metadata.metadata[b"perfmodel"])
    assert said["machine_sha256"] == whole.attrs["machine_sha256"]
    assert said["impossible_points"] == str(whole.attrs["impossible_points"])
    rows = table.to_pylist()
    for row in rows[:: len(rows) // 15]:
        at = whole.sel(
            pages=row["pages"], kernel=row["kernel"], vmas=row["vmas"], policy=row["policy"]
        )
        for bound in ("low", "estimate", "high"):
            np.testing.assert_equal(
                row[f"net_gain_{bound}"], float(at["net_gain"].sel(bound=bound))
            )
        np.testing.assert_equal(row["wait_quantile_0.9"], float(at["wait_quantile"].sel(level=0.9)))
        assert row["verdict"] == int(at["verdict"])
        assert row["safe"] == bool(at["safe"])


def test_single_precision_is_half_the_room(plan: Plan, machine: Machine) -> None:
    small = pm.sweep(
        pm.Scenario(machine, policies=POLICIES), VALUES, draws=4, single=True, variables="net_gain"
    )
    large = pm.sweep(
        pm.Scenario(machine, policies=POLICIES), VALUES, draws=4, variables=["net_gain"]
    )
    assert small["net_gain"].dtype == np.float32
    assert 2 * small["net_gain"].nbytes == large["net_gain"].nbytes
    np.testing.assert_allclose(small["net_gain"], large["net_gain"], rtol=1e-6)


def test_zipped_points_keep_their_values(machine: Machine, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the sweep extra is not installed")
    how: dict[str, Any] = {"pages": [8, 1, 8], "vmas": [2, 1, 1], "zipped": True, "draws": 1}
    found = pm.sweep(pm.Scenario(machine), **how)
    assert found["net_gain"].dims == ("point", "policy")
    assert found["vmas"].dims == ("point",)
    stored = pm.sweep(pm.Scenario(machine), **how, path=tmp_path / "found.zarr", block_points=2)
    assert set(stored.coords) == set(found.coords)
    xr.testing.assert_equal(stored.load(), found)


def test_lazily_it_is_computed_when_it_is_looked_at(whole: xr.Dataset, machine: Machine) -> None:
    pytest.importorskip("dask", reason="the sweep extra is not installed")
    import dask

    found = pm.sweep(
        pm.Scenario(machine, policies=POLICIES), VALUES, draws=4, block_points=3, lazy=True
    )
    assert found["net_gain"].chunks is not None
    # Nothing is computed, so nothing is counted.
    assert "impossible_points" not in found.attrs
    assert found.attrs["sweep_sha256"] == whole.attrs["sweep_sha256"]
    assert found["net_gain"].data.chunksize[:3] == (1, 1, 2)
    with dask.config.set(scheduler="synchronous"):
        xr.testing.assert_equal(found.compute(), whole)


@pytest.mark.parametrize(
    ("name", "said"),
    [("found.csv", "is no format"), ("nowhere/found.nc", "there is no folder")],
)
def test_a_path_that_will_not_do(plan: Plan, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        write_sweep(plan, tmp_path / name)
    assert names(tmp_path) == []


def test_without_the_extra_it_says_what_to_install(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("zarr", "pyarrow", "dask.array", "distributed"):
        monkeypatch.setitem(sys.modules, module, None)
    for name in ("found.zarr", "found.parquet"):
        with pytest.raises(MissingExtraError, match=r"perfmodel\[sweep\]"):
            write_sweep(plan, tmp_path / name)
    with pytest.raises(MissingExtraError, match=r"perfmodel\[sweep\]"):
        compute(plan, cluster="tcp://127.0.0.1:1")
    with pytest.raises(MissingExtraError, match=r"perfmodel\[sweep\]"):
        pm.sweep(plan.scenario, pages=[1], lazy=True)
    assert names(tmp_path) == []


class _StoppedError(Exception):
    pass


def test_an_unfinished_store_is_gone_on_with(plan: Plan, whole: xr.Dataset, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the sweep extra is not installed")
    path, room = tmp_path / "found.zarr", tmp_path / "found.zarr.unfinished"

    def stop(share: float) -> None:
        if share > 0.5:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        write_zarr(plan, path, progress=stop)
    assert not path.exists()
    done = len((room / "journal").read_text().splitlines())
    assert done == plan.blocks // 2 + 1
    # As a kill in the middle of a write would leave it: a chunk and a line that are not whole.
    chunks = [p for p in (room / "data" / "net_gain" / "c").rglob("*") if p.is_file()]
    chunks[0].with_suffix(".0123.partial").write_bytes(b"half")
    with (room / "journal").open("a") as journal:
        journal.write('{"part": "1", "rea')
    other = make_plan(plan.scenario, plan.axes, draws=5, block_points=3)
    with pytest.raises(InputError, match="what another sweep has left unfinished"):
        write_zarr(other, path)
    said: list[str] = []
    assert write_zarr(plan, path, told=said.append) == plan.blocks - done
    assert said == [f"{done} of {plan.blocks} blocks are there already"]
    assert names(tmp_path) == [path.name]
    assert not list(path.rglob("*.partial"))
    same(xr.open_dataset(path, engine="zarr", consolidated=False, chunks=None).load(), whole)


_RUN = """
import sys, numpy as np, perfmodel as pm
from perfmodel.sweeping.axes import axis_of
from perfmodel.sweeping.store import write_zarr
from perfmodel.sweeping.plan import Plan
from pathlib import Path
plan = Plan.from_document(Path(sys.argv[1]).read_text())
print(write_zarr(plan, Path(sys.argv[2])))
"""


def test_a_killed_run_loses_nothing_that_it_had_finished(machine: Machine, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the sweep extra is not installed")
    axes = [axis_of("fault_rate", np.geomspace(10, 1e6, 40)), axis_of("pages", range(1, 22))]
    plan = make_plan(
        pm.Scenario(machine, policies=(pm.Policy.LAST_VMA,)), axes, draws=1, block_points=21,
        variables=["net_gain", "verdict"],
    )  # fmt: skip
    assert plan.size < 1000  # by arrays, slowly enough to be killed
    question, path = tmp_path / "plan.json", tmp_path / "found.zarr"
    question.write_text(plan.document())
    words = [sys.executable, "-c", _RUN, str(question), str(path)]
    journal = tmp_path / "found.zarr.unfinished" / "journal"
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as run:
        for _ in range(24_000):
            if journal.exists() and journal.read_bytes().count(b"\n") >= 3:
                break
            assert run.poll() is None
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
    assert not path.exists()
    data = tmp_path / "found.zarr.unfinished" / "data"
    finished = {int(json.loads(line)["part"]) for line in journal.read_bytes().split(b"\n")[:-1]}
    assert 3 <= len(finished) < plan.blocks
    before = {
        name: [(data / name / "c" / str(i) / ("0/0" if name == "net_gain" else "0")).stat().st_mtime_ns
               for i in sorted(finished)]
        for name in plan.variables
    }  # fmt: skip
    out = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(out.stdout) == plan.blocks - len(finished)
    after = {
        name: [(path / name / "c" / str(i) / ("0/0" if name == "net_gain" else "0")).stat().st_mtime_ns
               for i in sorted(finished)]
        for name in plan.variables
    }  # fmt: skip
    assert after == before
    stored = xr.open_dataset(path, engine="zarr", consolidated=False, chunks=None).load()
    xr.testing.assert_equal(stored, compute(plan))


def test_two_runs_do_not_write_one_store(plan: Plan, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the sweep extra is not installed")
    path = tmp_path / "found.zarr"

    def again(_: float) -> None:
        with pytest.raises(InputError, match="another run is writing it"):
            write_zarr(plan, path)

    assert write_zarr(plan, path, progress=again) == plan.blocks


def test_a_grid_of_another_solver_is_gone_on_with(machine: Machine, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the sweep extra is not installed")
    scenario = pm.Scenario(machine, policies=(pm.Policy.NONE, pm.Policy.LAST_VMA),
                           faults=pm.Faults(threads=2, think_us=20),
                           writers=pm.Writers(threads=2, think_us=30))  # fmt: skip
    axes = [axis_of("pages", [1, 16, 64])]
    plan = make_plan(scenario, axes, solver="chain", draws=2, block_points=1)
    path = tmp_path / "found.zarr"

    def stop(_: float) -> None:
        raise _StoppedError

    with pytest.raises(_StoppedError):
        write_zarr(plan, path, workers=1, progress=stop)
    assert write_zarr(plan, path, workers=1) == 2
    stored = xr.open_dataset(path, engine="zarr", consolidated=False, chunks=None).load()
    assert stored["answered_by"].values.tolist() == [1, 1, 1]
    xr.testing.assert_equal(stored, compute(plan, workers=1))
    # What a kill may lose is a minute's work.
    assert make_plan(scenario, axes, solver="simulation").block_points == 64


_MEMORY = """
import resource, sys, numpy as np, perfmodel as pm
from pathlib import Path
from perfmodel.sweeping.axes import axis_of
from perfmodel.sweeping.store import write_zarr
from perfmodel.sweeping.plan import make_plan

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

for count in (10, 200):
    axes = [axis_of("writer_think_us", np.geomspace(10, 1e5, count)),
            axis_of("fault_rate", np.geomspace(10, 1e6, 50)), axis_of("pages", np.arange(1, 41))]
    plan = make_plan(pm.Scenario(machine="xeon-vm-6.18"), axes, draws=1, block_points=10_000)
    write_zarr(plan, Path(sys.argv[1]) / f"{count}.zarr")
    print(plan.size * plan.bytes_per_point / 2**20, peak())
"""


def test_memory_does_not_grow_with_the_points(tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the sweep extra is not installed")
    pytest.importorskip("numba", reason="without the compiled loop so many points take minutes")
    out = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(tmp_path)], capture_output=True, text=True, check=True
    )
    (_, first), (results, second) = (map(float, line.split()) for line in out.stdout.splitlines())
    # Twenty times the points, 300 MiB of results: nothing of them stays.
    assert results > 250
    assert second - first < 0.2 * results
