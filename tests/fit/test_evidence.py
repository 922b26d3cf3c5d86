"""What a profile rests on: runs of an emulated guest are never fitted as if a machine had been measured."""

from __future__ import annotations

from typing import Any

import pytest

from perfmodel.errors import CalibrationError
from perfmodel.fit.calibration import evidence_of
from perfmodel.observations import ObservationTable


def _table(*machines: dict[str, Any]) -> ObservationTable:
    return ObservationTable(
        (), machines={f"{i}.json": {"machine": m} for i, m in enumerate(machines)}
    )


STOCK = {"laboratory": {"cut": "none", "debug": False, "accelerator": "TCG"}}


def test_a_guest_is_emulated_and_a_machine_is_measured() -> None:
    assert evidence_of(_table({"cpu": {}})) == "measured"
    assert evidence_of(_table()) == "measured"
    assert evidence_of(_table(STOCK, STOCK)) == "emulated"


@pytest.mark.parametrize(
    ("machines", "said"),
    [
        ((STOCK, {"cpu": {}}), "never fitted together"),
        (({"laboratory": {"cut": "k0", "debug": False}},), "cut k0"),
        (({"laboratory": {"cut": "none", "debug": True}},), "times say nothing"),
    ],
)
def test_what_is_never_fitted(machines: tuple[dict[str, Any], ...], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        evidence_of(_table(*machines))
