from __future__ import annotations

import os
import pkgutil

import pytest

import perfmodel


def test_no_public_name_is_also_a_module() -> None:
    # Importing perfmodel.x binds the module x and would hide a function of the same name.
    modules = {m.name for m in pkgutil.iter_modules(perfmodel.__path__)}
    assert not modules & set(perfmodel.__all__)


def test_every_public_name_can_be_used() -> None:
    for name in perfmodel.__all__:
        if name != "explore":  # needs the notebook extra
            assert getattr(perfmodel, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        perfmodel.no_such_thing  # noqa: B018


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs all tests")
@pytest.mark.xdist_group("one-worker")
def test_tests_of_a_group_are_kept_together(request: pytest.FixtureRequest) -> None:
    # What many tests share is made once only while xdist hears of the groups, which it does by this suffix.
    assert request.node.nodeid.endswith("@one-worker")
