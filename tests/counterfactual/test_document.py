from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from perfmodel.counterfactual import Run, load, recorded
from perfmodel.errors import InputError


def test_columns_come_by_pair_and_arm(run: Run) -> None:
    reads = run.records[0].column("reads")
    assert reads.shape == (12, 2)
    assert set(reads[:, 0]) == {1000.0, 1100.0}
    assert set(reads[:, 1]) == {1200.0, 1300.0}
    assert run.cpus == 2


def _drop_column(document: dict) -> None:
    document["records"][0]["columns"][2] = "writes"


def _two_of_one_arm(document: dict) -> None:
    document["records"][0]["slices"][0][0] = document["records"][0]["slices"][1][0]


def _short_row(document: dict) -> None:
    document["records"][0]["slices"][3].pop()


def _odd(document: dict) -> None:
    document["records"][0]["slices"].pop()


def _held(document: dict) -> None:
    document["records"][0]["count_at_end"] = 256


def _zero(document: dict) -> None:
    document["records"][0]["slices"][0][1] = 0


def _group(document: dict) -> None:
    document["records"][0]["configuration"]["group"] = "many-cpus"


@pytest.mark.parametrize(
    ("damage", "field", "said"),
    [
        (lambda d: d.update(schema="perfmodel.bench/1"), "schema", "perfmodel.bench/1"),
        (lambda d: d.update(status="running"), "status", "did not come to its end"),
        (lambda d: d.update(records=[]), "records", "nothing was measured"),
        (lambda d: d.pop("machine"), None, "machine"),
        (lambda d: d["machine"].pop("cpu"), "machine.cpu.usable", "CPUs"),
        (_drop_column, "records[0].columns", "'reads' is missing"),
        (_two_of_one_arm, "records[0].slices", "no pairs of both arms"),
        (_short_row, "records[0].slices", "another number of columns"),
        (_odd, "records[0].slices", "no pairs of both arms"),
        (_held, "records[0]", "not free at the end"),
        (_zero, "records[0].slices", "has no length"),
        (_group, "records[0].configuration.group", "'many-cpus'"),
        (lambda d: d["records"][0]["slices"][0].__setitem__(2, -1), "records", ">= 0"),
        (lambda d: d["records"][0].update(waits=[]), "records", "length >= 2"),
    ],
)  # fmt: skip
def test_damage_is_named(
    run_file: Path, damage: Callable[[dict], object], field: str | None, said: str
) -> None:
    document = json.loads(run_file.read_text())
    damage(document)
    run_file.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"downgrade-1\.json") as caught:
        load(run_file)
    assert said in str(caught.value)
    if field is not None:
        assert (caught.value.field or "").startswith(field)


def test_a_truncated_file_is_no_run(run_file: Path) -> None:
    whole = run_file.read_bytes()
    for size in range(0, len(whole) - 1, 997):
        run_file.write_bytes(whole[:size])
        with pytest.raises(InputError):
            load(run_file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "none.json")


def test_the_shipped_runs_are_found() -> None:
    for path in recorded():
        assert path.name.startswith("downgrade-")
        assert load(path).records
