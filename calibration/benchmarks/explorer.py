"""How soon a move of a slider is on the screen: the static page, the served explorer, JupyterLab.

    python calibration/benchmarks/explorer.py [--moves 64] [--skip lab] [--visits 20]

Needs a Chromium and the ``test`` extra. A key is pressed on the slider of the pages; the time runs, on the
browser's own clock, from the key's event until the frame with the new picture is painted. Moves follow each
other as when a key is held down, and once more with a pause between them in which intervals and curves are
computed. Targets for 95 %: 60 ms served, 100 ms in JupyterLab, 10 ms in the static page. With ``--visits``
the served explorer is visited so often, and the memory of the server and its kernels is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
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

from perfmodel.machine import Machine, shipped_profiles
from perfmodel.webpage import page_html

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


def pressed(page: Any, watched: str, handle: Any, moves: int) -> None:
    """Press keys on a slider and print how soon each shows."""
    page.evaluate(CLOCK, watched)
    handle.focus()
    page.wait_for_timeout(1000)
    for what, pause, count in (("held", HELD, moves), ("tried", TRIED, moves // 2)):
        count = max(2 * TURN, count - count % (2 * TURN))
        page.evaluate("() => { window.told.length = 0; }")
        for i in range(count):
            before = page.evaluate("() => window.told.length")
            page.keyboard.press("ArrowRight" if i // TURN % 2 == 0 else "ArrowLeft")
            page.wait_for_function("n => window.told.length > n", arg=before, polling=5)
            page.wait_for_timeout(1e3 * pause)
        told = page.evaluate("() => window.told")
        columns = [sorted(column) for column in zip(*told, strict=True)]
        (half, most), (work, most_work) = (
            (statistics.median(c), statistics.quantiles(c, n=20)[18]) for c in columns
        )
        say(f"  {what:<6} n={len(told):<3} painted: median {half:5.1f} ms, 95 % {most:5.1f} ms;"
            f" without the wait for a frame {work:5.1f}, {most_work:5.1f} ms;"
            f" load {os.getloadavg()[0]:.1f}")  # fmt: skip


def static(browser: Any, folder: Path, moves: int) -> None:
    """Measure the self-contained page."""
    file = folder / "explorer.html"
    file.write_text(page_html([Machine.load(p) for p in shipped_profiles().values()]), "utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(file.as_uri())
    for preset in ("mail", "large"):
        page.get_by_role("button", name=preset, exact=True).click()
        page.wait_for_function("() => document.body.dataset.done && document.body.dataset.swept")
        say(f"static page, preset {preset}")
        pressed(page, "body", page.locator("#range-pages"), moves)
    page.close()


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


def memory(process: subprocess.Popen[str]) -> str:
    """Return what the server and its kernels hold, without counting shared pages twice."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    server_mb, *rest = [p.memory_full_info().pss / 1e6 for p in family]
    return f"server {server_mb:.0f} MB, {len(rest)} kernel(s) {sum(rest):.0f} MB"


def served(browser: Any, moves: int, visits: int) -> None:
    """Measure `perfmodel explore`, and what visits leave in its memory."""
    with server() as (process, address):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        start = time.perf_counter()
        page.goto(address)
        ready(page)
        say(
            f"served, preset large; first picture {time.perf_counter() - start:.1f} s after opening"
        )
        pressed(page, FIGURE, page.get_by_role("slider", name="pages", exact=True), moves)
        for visit in range(2, visits + 1):
            page.reload()
            page.wait_for_selector(FIGURE)
            if visit in (2, visits):
                page.wait_for_timeout(2000)
                say(f"  after {visit} visits: {memory(process)}")
        page.close()


def lab(browser: Any, folder: Path, moves: int) -> None:
    """Measure the notebook in JupyterLab."""
    (folder / "lab").mkdir()
    running = BROWSER.Lab(folder / "lab")
    try:
        page = BROWSER.opened(browser, running, [])
        ready(page)
        say("JupyterLab, preset mail")
        pressed(page, FIGURE, page.get_by_role("slider", name="pages", exact=True), moves)
        page.close()
    finally:
        running.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--moves", type=int, default=64, help="moves of a held key")
    parser.add_argument("--visits", type=int, default=1, help="visits whose memory is measured")
    parser.add_argument("--skip", nargs="*", default=[], choices=["static", "served", "lab"])
    wanted = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER.chromium(), args=BROWSER.FLAGS)
        folder = Path(name)
        if "served" not in wanted.skip:
            served(browser, wanted.moves, wanted.visits)
        if "lab" not in wanted.skip:
            lab(browser, folder, wanted.moves)
        if "static" not in wanted.skip:
            static(browser, folder, wanted.moves)
        browser.close()


if __name__ == "__main__":
    main()
