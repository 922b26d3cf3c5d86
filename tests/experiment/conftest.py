"""Slices made up so that their effects are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from perfmodel.experiment import Configuration, Slice

POINT = Configuration(
    vcpus=2, faulters=1, target="other_vma", pages=4096, vmas=1, duty=0.5, think_us=1.5,
    window_pages=256,
)  # fmt: skip


@pytest.fixture
def point() -> Configuration:
    return POINT


@pytest.fixture
def make_slice() -> Callable[..., Slice]:
    def make(cut: str, boot: str, number: int, **values: float) -> Slice:
        return Slice(POINT, cut, boot, number, values, faults=1000, calls=100)

    return make
