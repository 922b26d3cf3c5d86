"""One document of the real sections, few draws, whose figures are placeholders: drawing takes minutes.

Tests of this folder share one worker (`--dist loadgroup`), so that it is composed once.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.figure import Figure

from perfmodel.claims import ClaimTable, evaluate_claims
from perfmodel.machine import Machine
from perfmodel.writeup import Document, compose, material

DRAWS = 20


def placeholder(kind: Any, *_: object) -> material.Drawn:
    figure, files = Figure(figsize=(1, 1)), {}
    for form, bare in (("svg", {"Date": None}), ("pdf", {"CreationDate": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, metadata=bare)
        files[f"{kind.name}.{form}"] = buffer.getvalue()
    return material.Drawn(
        "A finding", "What is drawn. Evidence: none, a placeholder.", "an empty square", files
    )


@pytest.fixture(scope="session")
def placeholders() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(material, "draw", placeholder)
        yield


@pytest.fixture(scope="session")
def claims(machine: Machine) -> ClaimTable:
    return evaluate_claims(machine, draws=DRAWS)


@pytest.fixture(scope="session")
def document(machine: Machine, placeholders: None, claims: ClaimTable) -> Document:
    with pytest.MonkeyPatch.context() as patch:
        # Asked once for the document and the test that reads it.
        patch.setattr("perfmodel.claims.evaluate_claims", lambda *_, **__: claims)
        return compose(machine, draws=DRAWS)
