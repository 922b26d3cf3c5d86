"""Programs are built once for the whole folder."""

from __future__ import annotations

import shutil

import pytest

from perfmodel.measure.build import Toolset, build


@pytest.fixture(scope="session")
def built_in(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="session")
def tools(built_in) -> Toolset:
    return build(built_in)
