"""The closed queue of the lock's line in LINE, by its exact mean value analysis.

Runs in an environment of its own, as LINE asks for an older pandas: reads one question a line (CPUs,
think time, service time; JSON) and answers each with the throughput and the seconds it took.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

import line_solver as line


def model(customers: int, think: float, service: float) -> Any:
    """Return the closed network: CPUs think, then queue for the line."""
    network = line.Network("line")
    delay = line.Delay(network, "think")
    queue = line.Queue(network, "line", line.SchedStrategy.FCFS)
    cpus = line.ClosedClass(network, "cpus", customers, delay, 0)
    delay.setService(cpus, line.Exp.fitMean(think))
    queue.setService(cpus, line.Exp.fitMean(service))
    network.link(line.Network.serialRouting(delay, queue))
    return network


def main() -> None:
    """Answer until the questions end."""
    out = sys.stdout
    for asked in sys.stdin:
        customers, think, service = json.loads(asked)
        # What it prints of itself is no answer.
        with contextlib.redirect_stdout(sys.stderr):
            begun = time.process_time()
            table = line.MVA(model(customers, think, service), method="exact").avg_table()
            seconds = time.process_time() - begun
        rate = float(table["Tput"].iloc[-1]) if hasattr(table, "iloc") else float(table[-1]["Tput"])
        out.write(json.dumps({"throughput": rate, "seconds": seconds}) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
