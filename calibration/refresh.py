"""Make anew whatever rests on the recorded runs: the shipped profile, figures, gallery, the README's output.

    python calibration/refresh.py            # profile, figures, README, the page of failures
    python calibration/refresh.py --page     # the page of failures and its figures alone
    python calibration/refresh.py --check    # exit status 1 if the README's output is not what the commands print

The README's ``console`` blocks are commands with their output; the sections between
``<!-- generated: NAME -->`` and ``<!-- end -->`` are tables made here.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import composites
import gallery
import pandas as pd

from perfmodel.experiment import recorded
from perfmodel.figures import FAILURES, textbook_rule
from perfmodel.fit.natural import natural_experiment
from perfmodel.machine import Machine
from perfmodel.prediction import predict
from perfmodel.presets import PRESETS
from perfmodel.readers import read
from perfmodel.readers.bench_json import companion_trace
from perfmodel.report.claims import claims_markdown
from perfmodel.report.experiment import answer, effect_table, race_table, summary_table
from perfmodel.report.failures import rules_markdown, spread_markdown
from perfmodel.report.markdown import to_markdown
from perfmodel.report.numbers import (
    error_text,
    gain_text,
    number_text,
    share_text,
    time_text,
    time_with_spread,
)
from perfmodel.report.pictures import caption
from perfmodel.scenario import Scenario
from perfmodel.validation import validate
from perfmodel.validation.limits import KINDS
from perfmodel.validation.result import Row, Summary, summarise

ROOT = Path(__file__).resolve().parent.parent
NAME = "xeon-vm-6.18"
RUNS = ROOT / "calibration" / "data" / NAME
PROFILE = ROOT / "calibration" / "profiles" / f"{NAME}.json"
PICTURES = ROOT / "notebooks" / "figures"
README = ROOT / "README.md"
PAGE = ROOT / "notebooks" / "when-this-model-is-wrong.md"
DESCRIPTION = "2-vCPU Intel Xeon (KVM guest), Linux 6.18.44, recorded 23 November 2026"


def _perfmodel(*words: str) -> str:
    """Run the command line as a user with a terminal of 100 columns and no colour would."""
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "perfmodel", *words],
        capture_output=True, text=True, check=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def _calibrate() -> None:
    _perfmodel(
        "calibrate", str(RUNS / "run-1.json"), str(RUNS / "run-1.json.trace.txt.gz"),
        "--name", NAME, "--description", DESCRIPTION, "--held-out", str(RUNS / "run-2.json"),
        "--force", "-o", str(PROFILE),
    )  # fmt: skip


def _draw(*only: str) -> None:
    """Draw figures, all or some, for the README and for the page of failures, and fill the page."""
    PICTURES.mkdir(exist_ok=True)
    chosen = [word for name in only for word in ("--only", name)]
    with tempfile.TemporaryDirectory() as folder:
        _perfmodel("figures", "--machine", NAME, "--format", "png", "-o", folder, *chosen)
        for picture in sorted(Path(folder).glob("*.png")):
            shutil.copy(picture, PICTURES / picture.name)
        captions = {p.stem: caption(p) for p in Path(folder).glob("*.png")}
    PAGE.write_text(_page(PAGE.read_text(), captions))
    known = gallery.captions_of(gallery.PAGE.read_text()) if gallery.PAGE.is_file() else {}
    gallery.PAGE.write_text(gallery.page(known | captions))


def _section(text: str, name: str, content: str) -> str:
    """Put content between the marks of a generated section."""
    return re.sub(
        rf"<!-- generated: {re.escape(name)} -->.*?(<!-- end -->)",
        lambda m: f"<!-- generated: {name} -->\n\n{content}\n\n{m[1]}", text, flags=re.DOTALL,
    )  # fmt: skip


def _page(text: str, captions: dict[str, str]) -> str:
    """Return the page of failures with every caption and table made anew."""
    for name, said in captions.items():
        text = _section(text, f"caption {name}", said)
    text = _section(text, "rules", rules_markdown(textbook_rule.data_for()))
    run = RUNS / "run-2.json"
    text = _section(text, "spread", spread_markdown(read([run, companion_trace(run)])))
    return _section(text, "error map", _error_map())


def _error_map() -> str:
    table = pd.read_csv(ROOT / "calibration" / "agreement" / "error_map.csv")
    rows = []
    for (group, valid), some in table.groupby(["group", "valid"], sort=False):
        by = some.set_index("quantity")
        rows.append(
            [group.replace("-", " "), "yes" if valid else "no", str(int(by.points.max())),
             *(" / ".join(number_text(100 * by.loc[q, c], 2) for c in ("p50", "p95", "max"))
               if q in by.index else "" for q in ("wait_mean", "p99", "acquire", "fault_rate"))]
        )  # fmt: skip
    return _table(
        rows, ["questions", "inside", "points", "mean wait", "p99", "caller's wait", "faults/s"]
    )


def _table(rows: list[list[str]], head: list[str]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _validation() -> str:
    """Return what the profile predicts of the run that it was not fitted to, by kind and call."""
    run = RUNS / "run-2.json"
    found = validate(Machine.load(NAME), read([run, companion_trace(run)]))

    def error(summary: Summary, value: float) -> str:
        return f"{100 * value:.1f} pp" if summary.kind == "blocked" else error_text(value)

    groups: dict[tuple[str, str], list[Row]] = {}
    for row in found.rows:
        # Costs together; faults by who calls, whatever they hit.
        of = "timed by themselves" if row.kind == "cost" else row.operation.partition(",")[0]
        groups.setdefault((row.kind, of), []).append(row)
    told = [summarise(kind, of, some) for (kind, of), some in groups.items()]
    rows = [
        [KINDS[one.kind], one.operation, str(one.rows),
         number_text(one.ratio, 2) if one.ratio > 0 else "", error(one, one.median),
         error(one, one.p90), share_text(one.coverage)]
        for one in told
    ]  # fmt: skip
    said = (
        f"{len(found.rows)} numbers, {share_text(found.coverage)} of them within their 90 % interval"
        f" (threshold {share_text(found.coverage_threshold)}): "
        + ("passed." if found.passed else "**it falls short.**")
    )
    head = ["what", "of", "numbers", "predicted / measured", "median error", "90 % below",
            "within 90 % interval"]  # fmt: skip
    return f"{said}\n\n{_table(rows, head)}"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if value > 0.095 or value == 0 else f"{100 * value:.1f} %"


def _known(ns: float) -> str:
    return "not traced" if ns != ns else time_text(ns)


def _natural() -> str:
    trace = companion_trace(RUNS / "run-2.json")
    found = natural_experiment(Machine.load(NAME), read([RUNS / "run-2.json", trace]))
    found = found[(found.duty == 0.5) & found.pages.isin([1, 512, 4096, 16384])]
    rows = []
    for operation, transition in (("mprotect", "RW->R"), ("munmap", "none")):
        some = found[(found.operation == operation) & (found.target == "fresh_vma")]
        some = some[some.transition == transition]
        for _, one in some.drop_duplicates("pages").sort_values("pages").iterrows():
            rows.append(
                [f"{operation}, {one.pages:.0f} page{'s' if one.pages > 1 else ''}",
                 f"{_known(one.exclusive_measured_ns)} / {time_text(one.exclusive_predicted_ns)}",
                 "0" if operation == "mprotect" else
                 f"{_known(one.shared_measured_ns)} / {time_text(one.shared_predicted_ns)}",
                 f"{time_text(one.call_measured_ns)} / {time_text(one.call_predicted_ns)}",
                 f"{_share(one.blocked_measured)} / {_share(one.blocked_predicted)}",
                 f"{time_text(one.latency_measured_ns)} / {time_text(one.latency_predicted_ns)}"]
            )  # fmt: skip
    head = ["measured / predicted", "exclusive, alone", "shared, alone", "call, beside faults",
            "faults in it that block", "their mean latency"]  # fmt: skip
    return _table(rows, head)


def _claims() -> str:
    return claims_markdown(Machine.load(NAME))


def _guards() -> str:
    """Return the guarded cuts of the two presets beside each other."""
    made = [predict(Scenario.from_dict(PRESETS[n].parameters, machine=Machine.load(NAME)))
            for n in ("mail", "large")]  # fmt: skip
    rows = []
    for results in zip(*(p.guarded for p in made), strict=True):
        cells = [results[0].policy.value, results[0].single,
                 "yes" if results[0].safety.safe else "no"]  # fmt: skip
        for one in results:
            gain = gain_text(*one.interval())
            cells += [time_with_spread(one.account["guard_time"]),
                      gain if one.safety.safe else f"({gain})"]  # fmt: skip
        rows.append(cells)
    return _table(rows, ["cut", "guard", "safe", "1 page: it costs", "net gain a call [90 %]",
                         "64 MiB, 32 threads: it costs", "net gain a call [90 %]"])  # fmt: skip


def _experiment() -> str:
    found = recorded()
    table = to_markdown([effect_table(found, 2)]).strip()
    details = f"<details>\n<summary>Every point of the guests of 2 vCPUs</summary>\n\n{table}\n\n</details>"
    shown = [answer(found), summary_table(found), race_table(found.races)]
    return f"{to_markdown(shown).strip()}\n\n{details}"


def _filled(text: str) -> str:
    """Return the README with every output and generated table made anew."""

    def run(match: re.Match[str]) -> str:
        command = match[1]
        return f"```console\n$ {command}\n{_perfmodel(*shlex.split(command)[1:])}\n```"

    text = re.sub(r"```console\n\$ (perfmodel [^\n]*)\n.*?```", run, text, flags=re.DOTALL)
    for name, make in (
        ("claims", _claims),
        ("validation", _validation),
        ("natural", _natural),
        ("guards", _guards),
        ("experiment", _experiment),
    ):
        text = _section(text, name, make())
    return text


def main() -> int:
    """Refresh, or with ``--check`` tell whether the README is what the commands print."""
    pd.set_option("display.width", 200)
    text = README.read_text()
    if "--check" in sys.argv[1:]:
        fresh = _filled(text)
        stale = [a for a, b in zip(text.splitlines(), fresh.splitlines(), strict=False) if a != b]
        for line in stale[:20]:
            print(f"README.md is not what the commands print: {line}")  # noqa: T201
        return int(text != fresh)
    if "--page" in sys.argv[1:]:
        _draw(*(kind.name for kind in FAILURES))
        return 0
    _calibrate()
    composites.main()
    _draw()
    README.write_text(_filled(text))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
