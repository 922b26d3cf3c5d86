from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.machine import CONSTANTS, Constant, Machine, shipped_profiles


def _machine(**more: object) -> Machine:
    constants = {
        "syscall": Constant(value=100.0, log_sd=0.1, unit="ns", source="fit"),
        "pte": Constant(value=20.0, log_sd=0.2, unit="ns", source="fit"),
        "zap": Constant(value=None, unit="ns", source="none", reason="not measured"),
        "wake_latency": Constant(value=2000.0, log_sd=0.5, unit="ns", source="published"),
    }
    given = {
        "name": "test", "constants": constants, "covariance_names": ("syscall", "pte"),
        "covariance": np.array([[0.01, 0.015], [0.015, 0.04]]),
    }  # fmt: skip
    return Machine(**{**given, **more})  # type: ignore[arg-type]


def test_round_trip_through_a_file(tmp_path: Path) -> None:
    machine = _machine()
    path = machine.save(tmp_path / "p.json")
    again = Machine.load(path)
    assert again.sha256 == machine.sha256
    assert again.to_bytes() == machine.to_bytes()
    assert again.value("pte") == 20.0


def test_unknown_is_nan_with_a_reason() -> None:
    machine = _machine()
    assert np.isnan(machine.value("zap"))
    assert machine.reason("zap") == "not measured"
    assert "does not hold" in machine.reason("shootdown")
    assert np.isnan(machine.draws(5)["zap"]).all()


def test_draws_have_the_covariance_and_start_with_the_estimate() -> None:
    machine = _machine(fit={"residual_log_sd": 0.1})
    drawn = machine.draws(20_000, seed=3)
    assert drawn["pte"][0] == 20.0
    logs = np.log([drawn["syscall"], drawn["pte"], drawn["wake_latency"]])
    expected = np.array([[0.02, 0.015, 0], [0.015, 0.05, 0], [0, 0, 0.25]])
    assert np.cov(logs) == pytest.approx(expected, abs=0.006)
    assert (drawn["pte"] == machine.draws(20_000, seed=3)["pte"]).all()


def test_two_profiles_with_one_seed_differ_by_their_numbers_only() -> None:
    one = _machine()
    constants = {**one.constants, "pte": Constant(value=40.0, log_sd=0.2, unit="ns", source="fit")}
    two = _machine(constants=constants)
    assert two.draws(50)["pte"] == pytest.approx(2 * one.draws(50)["pte"])


def test_shipped_profiles_load() -> None:
    assert "xeon-vm-6.18" in shipped_profiles()
    for name in shipped_profiles():
        machine = Machine.load(name)
        assert machine.name == name
        assert set(machine.constants) == set(CONSTANTS)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": "perfmodel.machine/99"}, "perfmodel.machine/99"),
        ({"schema": "perfmodel.bench/1"}, "perfmodel.bench/1"),
        ({"name": "a/b"}, "name"),
        ({"evidence": "guessed"}, "evidence"),
        ({"constants": {"pte": {"value": -3, "unit": "ns", "source": "x"}}}, "constants"),
        ({"constants": {"pte": {"value": 3, "unit": "us", "source": "x"}}}, "constants.pte.unit"),
        ({"constants": {"nosuch": {"value": 3, "unit": "ns", "source": "x"}}}, "nosuch"),
        ({"covariance": {"names": ["pte"], "log": [[1, 2]]}}, "covariance"),
        ({"covariance": {"names": ["pte", "syscall"], "log": [[1, 2], [2, 1]]}}, "eigenvalue"),
        ({"covariance": {"names": ["zap"], "log": [[1]]}}, "zap"),
    ],
)
def test_a_wrong_profile_names_the_field(change: dict[str, object], named: str) -> None:
    data = json.loads(_machine().to_bytes())
    with pytest.raises(InputError, match=r"^prof\.json: ") as caught:
        Machine.from_bytes(json.dumps({**data, **change}).encode(), file="prof.json")
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"   ", b"{", b"[]", b"null", b"\x89PNG\r\n\x1a\n\0\0", b'{"schema":'],
)  # fmt: skip
def test_damaged_bytes_are_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^x: "):
        Machine.from_bytes(data, file="x")


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150, deadline=None)
@given(st.data())
def test_mutated_bytes_never_give_another_error(data: st.DataObject) -> None:
    raw = bytearray(_machine().to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    try:
        Machine.from_bytes(bytes(raw[:cut]) if data.draw(st.booleans()) else bytes(raw))
    except InputError:
        pass


def test_no_profile_lists_what_there_is() -> None:
    with pytest.raises(InputError, match=r"xeon-vm-6\.18"):
        Machine.load("nosuch")


def test_saving_where_there_is_no_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        _machine().save(tmp_path / "no" / "p.json")
    assert list(tmp_path.iterdir()) == []
