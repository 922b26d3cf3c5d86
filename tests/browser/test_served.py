"""`perfmodel explore` in a real browser: every control moves figure and numbers, and nothing is left."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from perfmodel.cli import main

from .conftest import FLAGS, chromium, wounds

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("served")]

FIGURE = "img.perfmodel-figure[data-rev]"

#: Long enough for a loaded machine; nothing here measures time.
PATIENCE = 60.0


class Served:
    """`perfmodel explore --no-browser`, as a person starts it."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "perfmodel", "explore", "--no-browser", "--json", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        told = ""
        for line in self.process.stdout:
            told += line
            if line.startswith("}"):
                break
        self.told = json.loads(told)
        self.address = str(self.told["address"])

    def kernels(self) -> list[int]:
        """Return the kernels that run now."""
        import psutil

        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if "ipykernel_launcher" in child.cmdline():
                    found.append(child.pid)
            except psutil.Error:
                continue  # it ended while it was looked at
        return found

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> str:
        """End it and return what it said to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.communicate(timeout=30)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    if chromium() is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    for package in ("playwright", "voila", "psutil"):
        pytest.importorskip(package)
    server = Served("--preset", "gc-barrier", "--pages", "512")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def heard() -> dict[str, list[str]]:
    """Errors of the page, and what it asked for."""
    return {"errors": [], "requests": []}


@pytest.fixture(scope="module")
def page(served: Served, heard: dict[str, list[str]]) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.set_default_timeout(1e3 * PATIENCE)
            page.on("pageerror", lambda error: heard["errors"].append(str(error)))
            page.on(
                "console", lambda m: heard["errors"].append(m.text) if m.type == "error" else None
            )
            page.on("request", lambda request: heard["requests"].append(request.url))
            visit(page, served.address)
            yield page
        finally:
            browser.close()


def visit(page: Any, address: str) -> None:
    page.goto(address)
    settled(page)


def settled(page: Any) -> None:
    """Wait until interval and curve are there, and their picture is on the screen."""
    page.wait_for_selector(FIGURE)
    page.wait_for_function(
        """() => { const ready = document.querySelector('.perfmodel-status')?.dataset.state === 'ready';
                   const r = document.querySelector('img.perfmodel-figure').dataset.rev;
                   const s = window.__seen ??= {r, at: performance.now()};
                   if (s.r !== r || !ready) { s.r = r; s.at = performance.now(); }
                   return performance.now() - s.at > 300; }""",
        polling=50,
    )
    page.evaluate("() => { delete window.__seen }")


def address(page: Any) -> str:
    """Return the page's address: asked of the page, as `page.url` waits to be told."""
    return str(page.evaluate("() => location.href"))


def text(page: Any) -> str:
    return re.sub(r"\s+", " ", str(page.locator("body").inner_text()))


def picture(page: Any) -> str:
    return str(page.evaluate(
        """async () => { const src = document.querySelector('img.perfmodel-figure').src;
             const hash = await crypto.subtle.digest('SHA-256', await (await fetch(src)).arrayBuffer());
             return [...new Uint8Array(hash)].join(); }"""
    ))  # fmt: skip


def everything(page: Any) -> tuple[str, ...]:
    """Return all that a menu may change: address, words, picture, and the text to take elsewhere."""
    texts = page.evaluate("() => [...document.querySelectorAll('textarea')].map(t => t.value)")
    return (address(page), text(page), picture(page), *texts)


def exported(page: Any) -> dict[str, Any]:
    """Return the scenario as the explorer's own JSON export has it."""
    box = page.locator("textarea").first
    if not box.is_visible():
        page.get_by_text("elsewhere").first.click()
        box.wait_for()
    page.locator("select:has(option:text-is('command line'))").select_option("JSON")
    page.wait_for_function("() => document.querySelector('textarea').value.startsWith('{')")
    data = json.loads(box.input_value())
    return dict(data.get("scenario", data))


def no_delay(process: int, port: int) -> list[bool]:
    """Return for each connection to a port of another process whether small messages go out at once."""
    import ctypes
    import os
    import socket

    import psutil

    found = []
    with os.fdopen(os.pidfd_open(process), "rb") as handle:
        for known in psutil.Process(process).net_connections("tcp"):
            if known.laddr.port == port and known.status == psutil.CONN_ESTABLISHED:
                # pidfd_getfd(2), which Python has no name for, since Linux 5.6.
                copy = ctypes.CDLL(None, use_errno=True).syscall(438, handle.fileno(), known.fd, 0)
                if copy < 0:
                    pytest.skip(
                        f"no look into the server's sockets: {os.strerror(ctypes.get_errno())}"
                    )
                with socket.socket(fileno=copy) as one:
                    found.append(bool(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
    return found


def asked(
    scenario: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """Return what `predict --json` says of a scenario."""
    file = folder / "scenario.json"
    file.write_text(json.dumps(scenario))
    capsys.readouterr()
    assert main(["predict", "--scenario", str(file), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def agrees(page: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Hold the page's verdict against `predict --json` of the scenario that the page exports."""
    settled(page)
    scenario = exported(page)
    answer = asked(scenario, folder, capsys)
    assert answer["verdict"]["sentence"] in text(page)
    return scenario


def test_it_starts_at_the_scenario_of_the_options(
    page: Any, served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert served.told["scenario"]["call"]["pages"] == 512
    assert served.address.startswith("http://127.0.0.1:")
    scenario = agrees(page, tmp_path, capsys)
    assert scenario == served.told["scenario"]
    assert len(served.kernels()) == 1


def test_every_slider_moves_figure_and_numbers(
    page: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handles = page.locator(".perfmodel-explorer .noUi-handle")
    names = [handles.nth(i).get_attribute("aria-label") for i in range(handles.count())
             if handles.nth(i).is_visible()]  # fmt: skip
    assert len(names) >= 10
    pictured = 0
    for name in names:
        handle = page.locator(f".noUi-handle[aria-label={json.dumps(name, ensure_ascii=False)}]")
        settled(page)
        before = address(page), text(page), picture(page)
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        track = page.locator(".noUi-base", has=handle).bounding_box()
        # Away from the end it stands at.
        way = 1 if x < track["x"] + track["width"] / 2 else -1
        page.mouse.move(x, y)
        page.mouse.down()
        for step in range(1, 5):
            page.mouse.move(x + way * step * track["width"] / 8, y)
        page.mouse.up()
        until(lambda was=before: address(page) != was[0], f"{name} changes no address")
        settled(page)
        assert text(page) != before[1], f"{name} changes no number"
        pictured += picture(page) != before[2]
    # A split more is a line's width of the picture at most; whatever is plotted shows.
    assert pictured >= len(names) - 3
    agrees(page, tmp_path, capsys)


def test_every_menu_moves_figure_or_numbers(
    page: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    menus = page.locator(".perfmodel-explorer select:visible")
    rows = [menus.nth(i).locator("xpath=..").inner_text() for i in range(menus.count())]
    names = [row.split("\n")[0] for row in rows]
    assert {"operation", "transition", "kernel", "machine"} <= set(names)
    for name in names:
        # A choice can take another menu away: look for it again by its name.
        menu = page.locator(".perfmodel-explorer .widget-dropdown:visible",
                            has=page.get_by_text(name, exact=True)).locator("select").first  # fmt: skip
        if menu.count() == 0 or menu.is_disabled():
            continue
        here = menu.evaluate("m => m.selectedIndex")
        before = everything(page)
        menu.select_option(index=1 if here != 1 else 0)
        until(lambda was=before: everything(page) != was, name)
        settled(page)
    agrees(page, tmp_path, capsys)


def test_a_shared_link_restores_the_scenario(
    page: Any, served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page.get_by_role("slider", name="pages", exact=True).press("ArrowRight")
    settled(page)
    page.wait_for_function("() => location.search.includes('pages=')")
    shared, before = page.url, exported(page)
    page.goto("about:blank")
    visit(page, shared)
    assert exported(page) == before
    agrees(page, tmp_path, capsys)
    until(lambda: len(served.kernels()) == 1, "the kernel of the page before is left")


def test_an_address_that_makes_no_sense_is_told(page: Any, served: Served) -> None:
    visit(page, served.address + "?machine=pdp-11&pages=3")
    alert = page.get_by_role("alert").filter(has_text="pdp-11")
    assert alert.is_visible()
    assert "512" in text(page)


def test_there_is_no_serious_barrier(page: Any) -> None:
    assert wounds(page) == []
    assert page.title() == "When does it pay for mprotect to downgrade mmap_lock?"


def test_a_page_that_stays_open_keeps_its_connection(page: Any, served: Served) -> None:
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    visit(page, served.address)
    count = len(opened)
    assert count
    page.wait_for_timeout(35_000)  # longer than a page may leave a ping unanswered
    assert len(opened) == count


def test_no_message_waits_until_the_last_was_acknowledged(page: Any, served: Served) -> None:
    visit(page, served.address)
    # The connections that brought the page's files are open as well.
    assert any(no_delay(served.process.pid, int(re.findall(r":(\d+)", served.address)[0])))


def test_visits_leave_no_kernel(page: Any, served: Served) -> None:
    for _ in range(2):
        page.reload()
        page.wait_for_selector(FIGURE)
    until(lambda: len(served.kernels()) == 1, "a reloaded page left its kernel")
    page.goto("about:blank")
    until(lambda: not served.kernels(), "a closed page left its kernel")


def test_it_talks_to_itself_alone(page: Any, served: Served, heard: dict[str, list[str]]) -> None:
    outside = {
        r for r in heard["requests"]
        if not r.startswith((served.address, "data:", "blob:", "about:"))
    }  # fmt: skip
    assert outside == set()
    assert heard["errors"] == []
    # Another site whose name resolves to this machine.
    request = urllib.request.Request(served.address, headers={"Host": "example.org"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=10)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_its_kernels(page: Any, served: Served, sign: signal.Signals) -> None:
    import psutil

    other = served if sign is signal.SIGTERM else Served()
    page.goto(other.address, wait_until="commit")
    until(lambda: bool(other.kernels()), "no kernel came")
    family = psutil.Process(other.process.pid).children(recursive=True)
    said = other.stop(sign)
    assert other.process.returncode == 0
    assert "Traceback" not in said
    assert "websocket" not in said
    until(lambda: not any(p.is_running() for p in family), "a process is left")
