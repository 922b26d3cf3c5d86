"""Voila, kept to one page, this interpreter and the loopback, and told when a page is gone.

Voila by itself ends no kernel: its page says good-bye by a beacon, which cannot carry the token that
guards against forged requests, and is refused (voila-dashboards/voila#1458).
"""

from __future__ import annotations

import gc
import logging
import shutil
import signal
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_core.utils import run_sync
from tornado.ioloop import IOLoop
from traitlets.config import Config
from voila.app import Voila
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from perfmodel.errors import InputError
from perfmodel.scenario import Scenario
from perfmodel.serving.session import write_start

__all__ = ["CULL_EVERY", "IDLE", "run"]

#: Seconds after which a kernel to which no page is connected ends, and how often that is looked at.
IDLE, CULL_EVERY = 60, 10

#: Seconds in which a kernel has to answer its page for the first time; so long, too, does the server keep all
#: that belongs to a visit, however short it was.
HELLO = 10

HOST = "127.0.0.1"

#: Front-end extensions that the page needs (anywidget takes shared code from the second);
#: whatever else is installed for JupyterLab stays out.
_EXTENSIONS = (
    "@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget",
)  # fmt: skip

_TEMPLATES = Path(__file__).resolve().parent / "templates"

_TITLE = "When does it pay for mprotect to downgrade mmap_lock?"

_CELL = "from perfmodel.serving.session import session\n\nsession()"


class _ThisInterpreter(KernelSpecManager):
    """The one kernel: this interpreter, without the user's IPython profile and history."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        del kernel_name
        assert self.parent is not None, "the server makes it"
        quiet = ["--IPKernelApp.log_level=ERROR", "--HistoryManager.enabled=False",
                 f"--ipython-dir={self.parent.root_dir}"]  # fmt: skip
        given = get_kernel_dict(extra_arguments=quiet)
        # By message: a signal would make a kernel that still starts print a traceback.
        return KernelSpec(
            resource_dir="", env={"MPLBACKEND": "agg"}, interrupt_mode="message", **given
        )

    def find_kernel_specs(self) -> dict[str, str]:
        return {"python3": ""}

    def get_all_specs(self) -> dict[str, Any]:
        spec = self.get_kernel_spec("python3")
        return {"python3": {"resource_dir": "", "spec": spec.to_dict()}}


class _Farewell(VoilaShutdownKernelHandler):  # type: ignore[misc]
    """Ends the kernel of a page that says good-bye."""

    def check_xsrf_cookie(self) -> None:
        """Accept the beacon: only the page itself knows the kernel's random name in the path."""

    async def post(self, kernel_id: str) -> None:
        # A page may say good-bye twice, or after its kernel was culled.
        if kernel_id in self.kernel_manager:
            await self.kernel_manager.shutdown_kernel(kernel_id, now=True)
        # A visit leaves thousands of objects that hold each other: too few for Python to look for them by itself
        # before there were a hundred visits.
        gc.collect()
        self.set_status(204)


class _Channels(VoilaKernelWebsocketHandler):  # type: ignore[misc]
    """Carries what kernel and page say, each message at once.

    By default a small message waits until the browser's machine has acknowledged the one before, which it
    puts off for up to 40 ms: half of all moves were shown that much later.
    """

    async def open(self, kernel_id: str) -> None:
        self.set_nodelay(True)
        await super().open(kernel_id)

    def get_websocket_protocol(self) -> Any:
        """Leave the pings to Jupyter's server: Tornado takes the same milliseconds for seconds and complains."""
        protocol = super().get_websocket_protocol()
        if protocol is not None:
            protocol.params.ping_interval = protocol.params.ping_timeout = None
        return protocol

    def on_close(self) -> None:
        """Forget the page now, and not at its next ping, which would keep all that belongs to its kernel."""
        super().on_close()
        if self.ping_callback is not None:
            self.ping_callback.stop()


class _Server(Voila):  # type: ignore[misc]
    """Voila with one notebook, on a socket that is already bound."""

    template_paths: list[str]

    def __init__(self, folder: Path, bound: socket.socket, ready: Callable[[str], None]) -> None:
        configuration = Config()
        configuration.MappingKernelManager.update(
            cull_idle_timeout=IDLE, cull_interval=CULL_EVERY, cull_connected=False,
            kernel_info_timeout=HELLO,
        )  # fmt: skip
        configuration.VoilaConfiguration.update(
            kernel_spec_manager_class=_ThisInterpreter,
            page_config_hook=_only_ours,
            show_tracebacks=True,
            allow_template_override="NO",
            allow_theme_override="NO",
            file_allowlist=[],
        )
        super().__init__(
            config=configuration, log_level=logging.ERROR, config_file_paths=[], ip=HOST,
            port=bound.getsockname()[1], root_dir=str(folder), open_browser=False,
            connection_dir_root=str(folder), notebook_path=str(folder / "explorer.ipynb"),
            # A name of another site that resolves to this machine is refused. A page that answers no
            # ping for three intervals is gone; one interval alone would end every page at its first.
            tornado_settings={"allow_remote_access": False, "ws_ping_interval": 10_000,
                              "ws_ping_timeout": 30_000},
        )  # fmt: skip
        self._bound = bound
        self._ready = ready

    def setup_template_dirs(self) -> None:
        """Put this package's page before Voila's."""
        super().setup_template_dirs()
        self.template_paths = [str(_TEMPLATES), *self.template_paths]

    def init_handlers(self) -> list[Any]:
        """Return Voila's handlers, with those that it lacks before its own."""
        kernel = r"(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)"
        ours = [(f"/voila/api/shutdown/{kernel}", _Farewell),
                (f"/api/kernels/{kernel}/channels", _Channels)]  # fmt: skip
        return [*ours, *super().init_handlers()]

    def _handle_signal_stop(self, sign: int, frame: Any) -> None:
        """End the loop; what follows it in `listen` ends the kernels."""
        del sign, frame
        self.ioloop.asyncio_loop.call_soon_threadsafe(self.ioloop.stop)  # type: ignore[attr-defined]

    def stop(self) -> None:
        """End every kernel at once: none holds anything that is worth a farewell."""
        shutil.rmtree(self.connection_dir, ignore_errors=True)
        run_sync(self.kernel_manager.shutdown_all)(now=True)

    def listen(self) -> None:
        """Answer until a signal comes, then end every kernel."""
        from tornado.httpserver import HTTPServer

        server = HTTPServer(self.app)
        server.add_socket(self._bound)
        self.ioloop = IOLoop.current()
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, self._handle_signal_stop)
        self.ioloop.add_callback(self._ready, self.connection_url)
        # What is there by now stays: whoever looks for what visits left need not look at it.
        gc.freeze()
        try:
            self.ioloop.start()
        finally:
            server.stop()
            self.stop()


def _only_ours(config: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Leave the front-end extensions out that other packages brought."""
    kept = [e for e in config["federated_extensions"] if e["name"] in _EXTENSIONS]
    return config | {"federated_extensions": kept}


def _bind(port: int) -> socket.socket:
    """Return a listening socket on the loopback.

    Raises
    ------
    InputError
        If the port is taken or not allowed.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise InputError(f"port {port} cannot be had ({error.strerror})", field="--port",
                         expected="a free port, or 0 for any") from None  # fmt: skip
    bound.setblocking(False)
    return bound


def run(
    scenario: Scenario, *, port: int, open_browser: bool, ready: Callable[[str], None] | None
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; see `perfmodel.serving.serve`."""
    bound = _bind(port)
    folder = Path(tempfile.mkdtemp(prefix="perfmodel-explore-"))

    def up(address: str) -> None:
        if ready is not None:
            ready(address)
        if open_browser and not webbrowser.open(address):
            sys.stderr.write("no browser was found: open the address yourself\n")

    try:
        write_start(folder, scenario)
        notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
            cells=[nbformat.v4.new_code_cell(_CELL)],  # type: ignore[no-untyped-call]
            metadata={
                "kernelspec": {"name": "python3", "display_name": "Python 3"},
                "title": _TITLE,
            },
        )
        nbformat.write(notebook, folder / "explorer.ipynb")  # type: ignore[no-untyped-call]
        server = _Server(folder, bound, up)
        server.initialize([])
        server.start()
    finally:
        bound.close()
        shutil.rmtree(folder, ignore_errors=True)
