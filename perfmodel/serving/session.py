"""What the kernel of one visit runs: the explorer of the scenario that its address names."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel.errors import PerfmodelError
from perfmodel.machine import Machine
from perfmodel.scenario import Scenario

if TYPE_CHECKING:
    from perfmodel.widgets.state import ExplorerState

__all__ = ["read_start", "session", "state_of", "write_start"]

_MACHINE, _SCENARIO = "machine.json", "scenario.json"


def write_start(folder: Path, scenario: Scenario) -> None:
    """Write where a visit starts; the machine as well, which need not be a shipped one."""
    scenario.machine.save(folder / _MACHINE)
    (folder / _SCENARIO).write_text(scenario.to_json(), encoding="utf-8")


def read_start(folder: Path) -> Scenario:
    """Read what `write_start` wrote."""
    data = json.loads((folder / _SCENARIO).read_text(encoding="utf-8"))
    return Scenario.from_dict(data, machine=Machine.load(folder / _MACHINE))


def state_of(start: Scenario, query: str) -> tuple[ExplorerState, str]:
    """Return the state that an address asks for, and what was wrong with the address.

    Parameters
    ----------
    start : Scenario
        Where an address without a query starts.
    query : str
        What follows the question mark.

    Returns
    -------
    ExplorerState
        At `start` if the query is refused.
    str
        The reason; empty if there is none.
    """
    from perfmodel.widgets import travel
    from perfmodel.widgets.state import ExplorerState

    def machines(name: str) -> Machine:
        return start.machine if name == start.machine.name else travel.shipped(name)

    if not query:
        return ExplorerState(start), ""
    try:
        found = travel.from_query(query, machines)
    except PerfmodelError as error:
        return ExplorerState(start), f"The address was not understood: {error}"
    return ExplorerState(found.scenario, shown=found.shown, pins=found.pins), ""


def session() -> Any:
    """Return the explorer of this visit, and the widget that keeps the address on its scenario.

    It runs in the server's folder, with the query of the address in ``QUERY_STRING``.
    """
    import ipywidgets as ipw

    from perfmodel.serving.address import Address
    from perfmodel.widgets.explorer import Explorer

    state, problem = state_of(read_start(Path.cwd()), os.environ.get("QUERY_STRING", ""))
    address = Address(query=state.to_query())

    def follow(_: object) -> None:
        address.query = state.to_query()

    explorer = Explorer(state)
    # After the explorer: the address names what is shown.
    state.listen(follow)
    if problem:
        explorer.say(problem)
    # What is there by now stays until the visit ends. A look for garbage that goes through all of it takes a
    # tenth of a second, in the middle of a drag.
    gc.freeze()
    return ipw.VBox([explorer, address])
