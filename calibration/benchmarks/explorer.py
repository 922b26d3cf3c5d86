"""How soon a move of a slider is on the screen: the static page, the served explorer, JupyterLab.

    python calibration/benchmarks/explorer.py [--moves 48] [--skip lab] [--visits 20]

Needs a Chromium and the ``test`` extra. A key is pressed on the slider of the pages; the time runs, on the
browser's own clock, from the key's event until the frame with the new picture is painted. Moves follow each
other as when a key is held down, and once more with a pause between them in which intervals and curves are
computed. The served explorer is then visited again and again for the memory of the server and its kernels. A
whole run is kept in latency.json, and README.md's table made from it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import shown
from measuring import machine_state

from perfmodel.machine import Machine, shipped_profiles
from perfmodel.webpage import page_html

SCHEMA = "perfmodel.latency/1"

REPOSITORY = Path(__file__).resolve().parents[2]

FIGURE = "img.perfmodel-figure[data-rev]"

#: Seconds between two moves: as a held key repeats, and as a person tries one value after another.
HELD, TRIED = 0.05, 0.5

#: Painted: the first task after the frame that follows the change. What a change waits for the next frame
#: of a screen that shows sixty a second is told apart: it is no work.
CLOCK = """watched => {
  if (window.told) return;
  const told = window.told = [];
  let pressed = 0;
  const changed = () => {
    const ready = performance.now();
    requestAnimationFrame(() => {
      const frame = performance.now(), channel = new MessageChannel();
      channel.port1.onmessage = () => {
        const now = performance.now();
        if (pressed) told.push([now - pressed, now - pressed - (frame - ready)]);
        pressed = 0;
      };
      channel.port2.postMessage(0);
    });
  };
  window.addEventListener('keydown', event => { pressed = event.timeStamp; }, true);
  new MutationObserver(changed).observe(document.querySelector(watched),
    {attributes: true, attributeFilter: ['data-rev']});
}"""

#: Moves one way before they turn; a run ends where it began.
TURN = 8

#: Seconds from a visit to the look at the memory: the server forgets a visit after ten.
AFTERWARDS = 12

#: What 95 % of the moves are to take at most, from the key to the painted frame, ms.
LIMITS = {"static page": 10, "served": 60, "JupyterLab": 100}


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _browser_tests() -> Any:
    """Return the module that the tests start Chromium and JupyterLab with."""
    path = REPOSITORY / "tests" / "browser" / "conftest.py"
    spec = importlib.util.spec_from_file_location("browser_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BROWSER = _browser_tests()


def pressed(
    page: Any, where: str, preset: str, watched: str, handle: Any, moves: int
) -> list[dict[str, Any]]:
    """Press keys on a slider, and print and return how soon each shows."""
    found = []
    say(f"{where}, preset {preset}")
    page.evaluate(CLOCK, watched)
    handle.focus()
    page.wait_for_timeout(1000)
    count = max(2 * TURN, moves - moves % (2 * TURN))
    for what, pause in (("held", HELD), ("tried", TRIED)):
        page.evaluate("() => { window.told.length = 0; }")
        for i in range(count):
            before = page.evaluate("() => window.told.length")
            page.keyboard.press("ArrowRight" if i // TURN % 2 == 0 else "ArrowLeft")
            page.wait_for_function("n => window.told.length > n", arg=before, polling=5)
            page.wait_for_timeout(1e3 * pause)
        told = page.evaluate("() => window.told")
        painted, work = (
            {"median": statistics.median(c), "p95": statistics.quantiles(c, n=20)[18]}
            for c in zip(*told, strict=True)
        )
        found.append({
            "where": where, "preset": preset, "moves": what, "count": len(told),
            "painted_ms": painted, "work_ms": work, "limit_ms": LIMITS[where],
        })  # fmt: skip
        say(f"  {what:<6} n={len(told):<3} painted: median {painted['median']:5.1f} ms, 95 %"
            f" {painted['p95']:5.1f} ms; without the wait for a frame {work['median']:5.1f},"
            f" {work['p95']:5.1f} ms; load {os.getloadavg()[0]:.1f}")  # fmt: skip
    return found


def static(browser: Any, folder: Path, moves: int) -> list[dict[str, Any]]:
    """Measure the self-contained page."""
    found = []
    file = folder / "explorer.html"
    first = Machine.load(next(iter(shipped_profiles().values())))
    file.write_text(page_html([first]), "utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(file.as_uri())
    for preset in ("mail", "large"):
        page.get_by_role("button", name=preset, exact=True).click()
        page.wait_for_function("() => document.body.dataset.done && document.body.dataset.swept")
        handle = page.locator("#range-pages")
        found += pressed(page, "static page", preset, "body", handle, moves)
    page.close()
    return found


@contextlib.contextmanager
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `perfmodel explore` and give its process and address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "perfmodel", "explore", "--no-browser", "--preset", "large"],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def ready(page: Any) -> None:
    """Wait until the explorer has nothing left to compute."""
    page.wait_for_selector(FIGURE)
    page.wait_for_function(
        "() => document.querySelector('.perfmodel-status')?.dataset.state === 'ready'"
    )


def memory(process: subprocess.Popen[str], visits: int) -> dict[str, float]:
    """Return what the server and its kernels hold, without counting shared pages twice."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    server_mb, *rest = [p.memory_full_info().pss / 1e6 for p in family]
    say(
        f"  after {visits} visits: server {server_mb:.0f} MB, {len(rest)} kernel(s) {sum(rest):.0f} MB"
    )
    return {"visits": visits, "server_mb": server_mb, "kernels": len(rest), "kernels_mb": sum(rest)}


def served(
    browser: Any, moves: int, visits: int
) -> tuple[list[dict[str, Any]], list[dict[str, float]]]:
    """Measure `perfmodel explore`, and what visits leave in its memory."""
    held = []
    with server() as (process, address):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        start = time.perf_counter()
        page.goto(address)
        ready(page)
        say(f"first picture {time.perf_counter() - start:.1f} s after opening")
        handle = page.get_by_role("slider", name="pages", exact=True)
        found = pressed(page, "served", "large", FIGURE, handle, moves)
        for visit in range(2, visits + 1):
            page.reload()
            page.wait_for_selector(FIGURE)
            if visit in (2, visits):
                page.wait_for_timeout(1e3 * AFTERWARDS)
                held.append(memory(process, visit))
        page.close()
    return found, held


def lab(browser: Any, folder: Path, moves: int) -> list[dict[str, Any]]:
    """Measure the notebook in JupyterLab."""
    (folder / "lab").mkdir()
    running = BROWSER.Lab(folder / "lab")
    try:
        page = BROWSER.opened(browser, running, [])
        ready(page)
        handle = page.get_by_role("slider", name="pages", exact=True)
        found = pressed(page, "JupyterLab", "mail", FIGURE, handle, moves)
        page.close()
        return found
    finally:
        running.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--moves", type=int, default=48, help="moves of a held key, and as many with pauses"
    )
    parser.add_argument("--visits", type=int, default=20, help="visits whose memory is measured")
    parser.add_argument("--skip", nargs="*", default=[], choices=["static", "served", "lab"])
    wanted = parser.parse_args()
    from playwright.sync_api import sync_playwright

    state, rows, held = machine_state(), [], []  # type: ignore[var-annotated]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER.chromium(), args=BROWSER.FLAGS)
        folder = Path(name)
        if "static" not in wanted.skip:
            rows += static(browser, folder, wanted.moves)
        if "served" not in wanted.skip:
            found, held = served(browser, wanted.moves, wanted.visits)
            rows += found
        if "lab" not in wanted.skip:
            rows += lab(browser, folder, wanted.moves)
        told = {"schema": SCHEMA, "state": state, "browser": f"Chromium {browser.version}",
                "rows": rows, "memory": held}  # fmt: skip
        browser.close()
    if not wanted.skip:
        shown.RESULTS.with_name(shown.LATENCY).write_text(json.dumps(told, indent=1) + "\n")
        shown.write(shown.load())


if __name__ == "__main__":
    main()
