"""How quickly the self-contained page answers, and how many questions it can answer.

    python calibration/benchmarks/page.py [--scenarios 2000]

Needs a Chromium and the ``test`` extra. For each preset the slider of the pages is moved by a script, so that
nothing was computed ahead as it is for a slider that has the focus (explorer.py measures that); printed are
the work of one move (model, table, pictures, layout), the time until it is painted, which holds the wait for
the next frame, and the time until interval and curve are there. Beside it: the same estimate in Python, in
the same run.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from perfmodel.machine import Machine, shipped_profiles
from perfmodel.prediction import predict
from perfmodel.presets import PRESETS
from perfmodel.scenario import Scenario
from perfmodel.webpage import page_html

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "webpage"))
from random_scenarios import Drawn

MOVES = 60

#: One move of a slider: the time in the handler and in the layout after it, and until it is painted.
MOVE = """async ([name, value]) => {
  const range = document.getElementById(`range-${name}`);
  range.value = value;
  const start = performance.now();
  range.dispatchEvent(new Event('input', {bubbles: true}));
  document.body.getBoundingClientRect();
  const work = performance.now() - start;
  await new Promise(done => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  }));
  return [work, performance.now() - start];
}"""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def spread(times: list[float]) -> str:
    """Return median and 95 % quantile, ms."""
    cuts = statistics.quantiles(times, n=20)
    return f"{statistics.median(times):5.1f} /{cuts[18]:5.1f}"


def python_times(preset: str, machine: Machine) -> list[float]:
    """Return how long the same estimate takes in Python, ms."""
    scenario = Scenario.from_dict(PRESETS[preset].parameters, machine=machine)
    times = []
    for i in range(15):
        moved = scenario.replace(pages=scenario.call.pages + i)
        start = time.perf_counter()
        predict(moved, draws=1, solver="closed", levels=(), guards=False)
        times.append(1e3 * (time.perf_counter() - start))
    return times[2:]


def latency(page: Any, machine: Machine) -> None:
    """Print how quickly the page answers each preset."""
    say(f"one move of a slider, ms: median / 95 % of {MOVES}")
    say(f"{'preset':<15}{'work':>14}{'painted':>14}{'interval, s':>13}{'Python/page':>13}")
    works: list[float] = []
    for name in PRESETS:
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_function("() => document.body.dataset.done && document.body.dataset.swept")
        top = int(page.get_attribute("#range-pages", "max"))
        told = [page.evaluate(MOVE, ["pages", str(i % (top + 1))]) for i in range(MOVES + 20)]
        start = time.perf_counter()
        page.wait_for_function("() => document.body.dataset.done && document.body.dataset.swept")
        interval = time.perf_counter() - start
        # The first moves compile the model.
        work, painted = ([t[k] for t in told[20:]] for k in (0, 1))
        works += work
        ratio = statistics.median(python_times(name, machine)) / statistics.median(work)
        say(f"{name:<15}{spread(work):>14}{spread(painted):>14}{interval:>13.1f}{ratio:>13.1f}")
    say(f"{'all':<15}{spread(works):>14}")


def coverage(page: Any, count: int) -> None:
    """Print which share of random scenarios the page answers."""
    drawn = Drawn(1, tuple(shipped_profiles()))
    scenarios = [drawn.scenario() for _ in range(count)]
    one = [
        s for s in scenarios if s["writers"].get("threads") == 1 and not s["faults"].get("io_share")
    ]
    say("\nquestions answered, that is inside the region of the closed form's stated error")
    for what, some in (("all scenarios", scenarios), ("one caller, no I/O", one)):
        told = page.evaluate(
            """all => all.map(given => {
                 const p = predicted(scenarioOf(given), {levels: [], guards: false});
                 return p.results.every(r => r.reason || !r.answer.broken.length); })""",
            some,
        )
        say(f"{what:<24}{sum(told)} of {len(told)}: {100 * sum(told) / len(told):.0f} %")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--scenarios", type=int, default=2000, help="random scenarios of the coverage"
    )
    wanted = parser.parse_args()
    from playwright.sync_api import sync_playwright

    warnings.simplefilter("ignore")
    machines = [Machine.load(path) for path in shipped_profiles().values()]
    start = time.perf_counter()
    html = page_html(machines)
    say(f"page: {len(html.encode()) / 1e6:.2f} MB, made in {time.perf_counter() - start:.1f} s")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "explorer.html"
        file.write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        start = time.perf_counter()
        page.goto(file.as_uri())
        page.wait_for_function("() => document.body.dataset.rev")
        say(f"first answer {time.perf_counter() - start:.2f} s after opening\n")
        latency(page, machines[0])
        coverage(page, wanted.scenarios)
        browser.close()


if __name__ == "__main__":
    main()
