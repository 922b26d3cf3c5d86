"""The change script is loaded from the calibration material; its source tree is made up."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from perfmodel.resources import calibration_path


@pytest.fixture(scope="session")
def change():
    path = calibration_path("kernel_lab", "change.py")
    spec = importlib.util.spec_from_file_location("kernel_lab_change", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def made_up():
    spec = importlib.util.spec_from_file_location(
        "kernel_lab_source", __file__.replace("conftest.py", "source.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.FILES)


@pytest.fixture
def write_tree(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / "linux" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / "linux"

    return write
