"""Sliders over a scenario: a plain state object, controls generated from the declarations, views.

`ExplorerState` and the tables need nothing but the core. `explore` needs the ``notebook`` extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.errors import MissingExtraError
from perfmodel.widgets.state import ExplorerState, mail_case

if TYPE_CHECKING:
    from perfmodel.scenario import Scenario
    from perfmodel.widgets.explorer import Explorer

__all__ = ["ExplorerState", "explore", "mail_case"]


def explore(scenario: Scenario | None = None) -> Explorer:
    """Return a widget with sliders over a scenario, its verdict, table and figure.

    Parameters
    ----------
    scenario : Scenario, optional
        Where to start. Default: the founding mail's own case on a shipped profile.

    Returns
    -------
    Explorer
        A widget; the last expression of a notebook cell shows it. Its ``state`` is the scenario.

    Raises
    ------
    MissingExtraError
        If the ``notebook`` extra is not installed.

    Examples
    --------
    >>> import perfmodel as pm
    >>> pm.explore(pm.Scenario(machine="xeon-vm-6.18"))  # doctest: +SKIP
    """
    for package in ("ipywidgets", "anywidget"):
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise MissingExtraError(package, "notebook") from None
    from perfmodel.widgets.explorer import Explorer

    return Explorer(ExplorerState(scenario if scenario is not None else mail_case()))
