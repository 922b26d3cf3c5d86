"""Named scenarios: cases of the mail thread and of people who meet the lock, each with its source.

Evidence tags of the sources: [mail] mail or commit text that was read, [T] issue or document that
was read, [S] kernel source that was read, [A] abstract only, [assumed] chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "Preset", "preset"]


@dataclass(frozen=True)
class Preset:
    """A named scenario.

    Parameters
    ----------
    name : str
        How the command line names it.
    sentence : str
        What the case is.
    source : str
        Which of its numbers are somebody's, and which are assumed here.
    parameters : mapping
        What `Scenario.from_dict` takes, the machine apart; what is not given has its default.
    """

    name: str
    sentence: str
    source: str
    parameters: Mapping[str, Any]


_ALL = (
    Preset(
        "mail",
        "The founding mail's own case: one page of one VMA made read-only, nobody else's TLB to flush.",
        "[mail] X+JMiHv+EktzyZgr@redhat.com of 22 Dec 2020 (v5.11, 'half a usec'); fault rate and"
        " caller's pace are the kit's defaults [assumed]",
        {
            "kernel": "5.11",
            "call": {"operation": "mprotect", "pages": 1, "transition": "RW->R", "remote_cpus": 0},
        },
    ),
    Preset(
        "large",
        "64 MiB made read-only while 32 threads fault in the same process.",
        "[assumed] size and threads: no published measurement of an mprotect hold at this size was"
        " found; the kernel is that of the founding mail",
        {
            "kernel": "5.11",
            "call": {"operation": "mprotect", "pages": 16384, "transition": "RW->R"},
            "faults": {"threads": 32},
        },
    ),
    Preset(
        "jit",
        "A JIT compiler closes 16 pages of code for writing again (W^X); its other half is"
        " --transition 'R->RW'.",
        "[T] ruby/ruby#5032: cost linear in the populated pages; php/php-src#20461: no notable gain"
        " from leaving mprotect; size, threads and pace [assumed]; the execute bit is left out: it"
        " flushes as the write bit does",
        {
            "kernel": "6.18",
            "call": {"operation": "mprotect", "pages": 16, "transition": "RW->R"},
            "faults": {"threads": 8, "same_vma": 0.1},
            "writers": {"threads": 1, "think_us": 1000.0},
            "cpus": 16,
        },
    ),
    Preset(
        "gc-barrier",
        "A garbage collector write-protects 16 MiB of heap to find the pages that change, while 16"
        " mutators fault in it.",
        "[T] bdwgc #430: mprotect against userfaultfd for dirty bits; Ravenbrook MPS #72; sizes,"
        " threads and pace [assumed]",
        {
            "kernel": "6.18",
            "call": {"operation": "mprotect", "pages": 4096, "transition": "RW->R"},
            "faults": {"threads": 16, "same_vma": 1.0},
            "writers": {"threads": 1, "think_us": 50_000.0},
            "cpus": 32,
        },
    ),
    Preset(
        "wasm-grow",
        "WebAssembly instances on 24 threads grow their memory: reserved pages that nothing has"
        " touched become writable.",
        "[T] bytecodealliance/wasmtime#5207 and #5243 (24 cores, VM locks 'one of the largest"
        " bottlenecks'); [A] IISWC'22 'Leaps and bounds'; 64 KiB a step and pace [assumed]",
        {
            "kernel": "5.15",
            "call": {"operation": "mprotect", "pages": 16, "transition": "NONE->RW"},
            "faults": {"threads": 24, "think_us": 20.0},
            "writers": {"threads": 24, "think_us": 500.0},
            "cpus": 24,
        },
    ),
    Preset(
        "munmap-80g",
        "munmap of 80 GiB: the one case in Linux where a downgrade was measured before and after.",
        "[mail] dd2283f2605e (4.20, 32-core E5-2680): exclusive part 2.49 s to 8 us; asked of 5.10,"
        " the oldest kernel whose rules were read; faulting threads and pace [assumed]",
        {
            "kernel": "5.10",
            "call": {"operation": "munmap", "pages": 20_971_520},
            "faults": {"threads": 31},
            "writers": {"threads": 1, "think_us": 1e7},
            "cpus": 32,
        },
    ),
    Preset(
        "guard-pages",
        "A thread pool puts a guard page under each new stack: one page that nothing has touched is"
        " made inaccessible, which splits the VMA of the stack.",
        "[mail] Lorenzo Stoakes, 2024: markers in the page table instead of PROT_NONE VMAs, 5 times"
        " the speed in early trials, 13 % fewer VMAs on an idle Android; [S] MADV_GUARD_INSTALL takes"
        " the lock for reading and splits nothing; asked of 6.12, before it was there; one split a"
        " stack, threads, first touches and pace [assumed]",
        {
            "kernel": "6.12",
            "call": {
                "operation": "mprotect",
                "pages": 1,
                "splits": 1,
                "transition": "RW->NONE",
                "populated": 0.0,
            },
            "faults": {"threads": 16, "think_us": 50.0, "same_vma": 0.0, "first_touch": 0.1},
            "writers": {"threads": 1, "think_us": 1000.0},
            "cpus": 16,
        },
    ),
    Preset(
        "uffd-snapshot",
        "A background snapshot write-protects 1 GiB of guest memory by userfaultfd while 4 virtual"
        " CPUs run.",
        "[T] deeplethe/forkd#156: pause of 150 ms, goal below 10 ms; size, threads and pace"
        " [assumed]",
        {
            "kernel": "6.1",
            "call": {"operation": "uffd_writeprotect", "pages": 262_144},
            "faults": {"threads": 4, "think_us": 20.0},
            "writers": {"threads": 1, "think_us": 1e6},
            "cpus": 8,
        },
    ),
)

#: The presets by name.
PRESETS: Mapping[str, Preset] = {p.name: p for p in _ALL}


def preset(name: str) -> Preset:
    """Return the preset `name`.

    Raises
    ------
    InputError
        If there is none; the message lists them.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise InputError(
            f"there is no preset {name!r}", field="preset", expected="one of " + ", ".join(PRESETS)
        ) from None
