"""A JupyterLab server of its own and one Chromium page, shared by the tests of this folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOK = REPOSITORY / "notebooks" / "01-when-does-it-pay.ipynb"

#: Where a Chromium may be; playwright's own downloads are not assumed.
CANDIDATES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # Offline by construction: a page that asks for anything from outside fails here.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--force-device-scale-factor=1", "--font-render-hinting=none", "--hide-scrollbars",
]  # fmt: skip

#: Console messages of JupyterLab itself that say nothing about the page.
NOISE = (
    "favicon", "ERR_NAME_NOT_RESOLVED", "service worker", "ServiceWorker",
    "Failed to load resource: the server responded with a status of 404",
    "ResizeObserver loop",
)  # fmt: skip


def chromium() -> str | None:
    return next((found for name in CANDIDATES if (found := shutil.which(name))), None)


def wounds(page: Any) -> list[str]:
    """Return what axe-core finds on a page, of level serious or above."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{v['id']}: {v['help']}: {v['nodes'][0]['html'][:200]}"
        for v in found if v["impact"] in ("serious", "critical")
    ]  # fmt: skip


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _environment(home: Path) -> dict[str, str]:
    """Nothing of the developer's own settings; the kernel is this interpreter."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
    folders = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "run",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }  # fmt: skip
    kept.update({name: str(home / folder) for name, folder in folders.items()})
    kept.update(
        JUPYTER_PREFER_ENV_PATH="1", MPLBACKEND="agg", TZ="UTC", LC_ALL="C.UTF-8",
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )  # fmt: skip
    return kept


class Lab:
    """A running JupyterLab."""

    def __init__(self, home: Path) -> None:
        self.root = home / "notebooks"
        self.root.mkdir()
        shutil.copy(NOTEBOOK, self.root)
        asked = home / "settings" / "@jupyterlab" / "apputils-extension"
        asked.mkdir(parents=True)
        (asked / "notification.jupyterlab-settings").write_text(
            '{"fetchNews": "false", "checkForUpdates": false}'
        )
        port = _free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.log = home / "lab.log"
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
            "--ip=127.0.0.1", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
            "--ServerApp.password=", f"--ServerApp.root_dir={self.root}",
            "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            # Should this process be killed, the server and its kernel end by themselves.
            "--ServerApp.shutdown_no_activity_timeout=120",
            "--MappingKernelManager.cull_idle_timeout=60",
            "--MappingKernelManager.cull_interval=10",
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=home, env=_environment(home),
                start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(self.log.read_text()[-2000:])
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base}/api", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def request(self, method: str, path: str) -> bytes:
        call = urllib.request.Request(f"{self.base}{path}", method=method)
        with urllib.request.urlopen(call, timeout=10) as answer:
            return bytes(answer.read())

    def stop(self) -> None:
        """End the server; SIGTERM first, by which it ends its kernels."""
        for sign, wait in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
            if self.process.poll() is None:
                os.killpg(self.process.pid, sign)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(wait)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if chromium() is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    pytest.importorskip("playwright")
    pytest.importorskip("jupyterlab")
    server = Lab(tmp_path_factory.mktemp("lab"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """What the page's console said in anger."""
    return []


@pytest.fixture(scope="module")
def page(lab: Lab, complaints: list[str]) -> Iterator[Any]:
    """The notebook, run to its end, in single-document mode at 1280 pixels.

    Playwright's synchronous interface keeps an event loop running in its thread. It must be gone
    before the next module: the widgets' own tests start loops of theirs.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield opened(browser, lab, complaints)
        finally:
            browser.close()


def opened(browser: Any, lab: Lab, complaints: list[str]) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text)
            if message.type == "error" and not any(n in message.text for n in NOISE)
            else None)  # fmt: skip
    page.goto(f"{lab.base}/doc/tree/{NOTEBOOK.name}?reset")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context?.isReady")
    page.evaluate(
        """async () => {
             const widget = window.jupyterapp.shell.currentWidget;
             await widget.context.sessionContext.ready;
             await window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs');
             await window.jupyterapp.commands.execute('notebook:run-all-cells');
           }"""
    )
    # A cell that fails ends the run: say so now and not after a minute.
    told = page.wait_for_function(
        """() => {
             if (document.querySelector('img.perfmodel-figure[data-rev]')) return 'shown';
             const failed = window.jupyterapp.shell.currentWidget.content.widgets
               .flatMap(cell => cell.model.sharedModel.outputs ?? [])
               .find(output => output.output_type === 'error');
             return failed && `${failed.ename}: ${failed.evalue}`;
           }""",
        timeout=60_000,
    ).json_value()
    if told != "shown":
        pytest.fail(f"the notebook fails: {told}")
    return page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the browser out unless it is asked for: seven minutes of waiting for pictures."""
    if os.environ.get("PERFMODEL_BROWSER"):
        return
    skip = pytest.mark.skip(reason="make test-browser drives a real Chromium")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(skip)
