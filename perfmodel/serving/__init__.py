"""The explorer as a web page of this machine: a server, and what runs in each visitor's kernel.

`server` is Voila kept to one page, one interpreter and the loopback; `session` builds the explorer of
one visit; `address` keeps the browser's address on the scenario. `perfmodel explore` starts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from perfmodel.scenario import Scenario

__all__ = ["serve"]


def serve(
    scenario: Scenario,
    *,
    port: int = 0,
    open_browser: bool = True,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the explorer on this machine until a signal ends it.

    Every visit has a kernel of its own. It ends when its page is closed or reloaded, and at the latest
    `perfmodel.serving.server.IDLE` seconds after its page was last heard of.

    Parameters
    ----------
    scenario : Scenario
        Where a visit without a query in its address starts.
    port : int
        Port to listen on; 0 for a free one.
    open_browser : bool
        Whether to open the page in the user's browser.
    ready : callable, optional
        Told the address once it answers.

    Raises
    ------
    MissingExtraError
        If the ``serve`` extra is not installed.
    InputError
        If the port cannot be had.
    """
    for package in ("voila", "ipywidgets", "anywidget", "ipykernel"):
        try:
            __import__(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise MissingExtraError(package, "serve") from None
    from perfmodel.serving.server import run

    run(scenario, port=port, open_browser=open_browser, ready=ready)
