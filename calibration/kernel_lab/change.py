# ruff: noqa: E101, T201 (C text has tabs; a script prints)
"""Change an unpacked Linux 6.1 so that mprotect can let readers in early, chosen at run time.

    python change.py /path/to/linux-source-6.1

The change is made by name: a file, a function in it, a statement in the function, and what we put
before it, after it or in its place. A statement is found whatever its spacing, and must be there
exactly once; else nothing at all is written and the error names the function and the statement. So
the change fits every 6.1.y whose mprotect still reads the same, and refuses all others.

The changed kernel behaves like the unchanged one until somebody writes a number to
``/sys/module/mprotect/parameters/cut``:

    0  none        mprotect holds mmap_lock for writing to its end, as it always did
    1  K0          downgraded before the entries of the last VMA are walked: walk and flush shared
    2  K1          downgraded after all entries were walked, before the one flush
    3  every VMA   downgraded before the walk of each VMA; walked, flushed, released, taken for
                   writing again, and the next VMA looked up anew

Two more switches take rules away that make cuts safe in 6.1, so that the race programs can show
that they would find a race if there were one. Measurements leave both 0:

    /sys/module/memory/parameters/ignore_exclusive
        A page marked as belonging to one process alone (5.19) is reused on a write fault, and
        written by a debugger as it is, only if nobody holds a reference to it; mprotect does not
        set its write bit. As in 5.9 to 5.18.
    /sys/module/mmu_gather/parameters/ignore_nested
        The end of an operation does not flush for the entries that another one, whose flush is
        still pending, took away before it could see them.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

CUTS = ("none", "k0", "k1", "every-vma")


class ChangeError(Exception):
    """The source is not one this change fits."""


@dataclass(frozen=True)
class Edit:
    """One place and what to do there.

    Parameters
    ----------
    file : str
        Below the kernel tree.
    function : str
        Name of the function whose definition holds the statement.
    statement : str
        C text; spacing does not matter. Empty with `place` "before" or "after": the whole definition.
    place : {"before", "after", "instead"}
    text : str
        What to write there.
    """

    file: str
    function: str
    statement: str
    place: Literal["before", "after", "instead"]
    text: str


_STATE = """\
#include <linux/moduleparam.h>

/* Where mprotect lets readers in: 0 nowhere, 1 K0, 2 K1, 3 every VMA. */
enum { CUT_NONE, CUT_K0, CUT_K1, CUT_EVERY_VMA };
static unsigned int mprotect_cut __read_mostly;
module_param_named(cut, mprotect_cut, uint, 0644);

struct cut_state {
	unsigned int where;	/* read once a call: a call is of one kind from begin to end */
	unsigned long end;	/* of the range of the call */
	bool downgraded;	/* mmap_lock is held for reading now */
};

/* Is this the moment? The loop over VMAs ends after this one exactly if it reaches the end. */
static inline bool cut_before_walk(const struct cut_state *cut, const struct vm_area_struct *vma)
{
	return cut && (cut->where == CUT_EVERY_VMA ||
		       (cut->where == CUT_K0 && vma->vm_end >= cut->end));
}

"""

_HEAD = (
    "int mprotect_fixup(struct mmu_gather *tlb, struct vm_area_struct *vma,"
    " struct vm_area_struct **pprev, unsigned long start, unsigned long end,"
    " unsigned long newflags)"
)

_CUT_HEAD = """\
static int mprotect_fixup_cut(struct mmu_gather *tlb, struct vm_area_struct *vma,
			      struct vm_area_struct **pprev, unsigned long start,
			      unsigned long end, unsigned long newflags,
			      struct cut_state *cut)"""

_WRAPPER = """

/* For exec, which has no cut. */
int mprotect_fixup(struct mmu_gather *tlb, struct vm_area_struct *vma,
		   struct vm_area_struct **pprev, unsigned long start,
		   unsigned long end, unsigned long newflags)
{
	return mprotect_fixup_cut(tlb, vma, pprev, start, end, newflags, NULL);
}
"""

_DOWNGRADE_BEFORE_WALK = """\
if (cut_before_walk(cut, vma)) {
		/* The counters change while readers are still out; the VMA has its new rights. */
		vm_stat_account(mm, oldflags, -nrpages);
		vm_stat_account(mm, newflags, nrpages);
		cut->downgraded = true;
		mmap_write_downgrade(mm);
	}

	"""

_ACCOUNT = """\
if (!cut || !cut->downgraded)
		"""

_RETAKE = """\
if (cut.downgraded) {
			/*
			 * Every VMA: nothing stale may be left when others can take the lock for
			 * writing. Afterwards nothing that was looked up before is valid any more.
			 */
			tlb_finish_mmu(&tlb);
			mmap_read_unlock(current->mm);
			if (mmap_write_lock_killable(current->mm))
				return -EINTR;
			cut.downgraded = false;
			tlb_gather_mmu(&tlb, current->mm);
			if ((pkey != -1) && !mm_pkey_is_allocated(current->mm, pkey)) {
				error = -EINVAL;
				break;
			}
			vma = find_vma_prev(current->mm, nstart, &prev);
			if (!vma || vma->vm_start > nstart) {
				error = -ENOMEM;
				break;
			}
			/* Others may have merged the next VMA with what lies before it. */
			if (vma->vm_start < nstart)
				prev = vma;
			prot = reqprot;
			continue;
		}

		"""

_DOWNGRADE_BEFORE_FLUSH = """\
if (cut.where == CUT_K1) {
		cut.downgraded = true;
		mmap_write_downgrade(current->mm);
	}
	"""

_UNLOCK = """\
if (cut.downgraded)
		mmap_read_unlock(current->mm);
	else
		mmap_write_unlock(current->mm);"""

_IGNORE_EXCLUSIVE = """\
#include <linux/moduleparam.h>

/* 1: PageAnonExclusive does not decide whether a page is reused on a write fault. */
unsigned int lab_ignore_exclusive __read_mostly;
module_param_named(ignore_exclusive, lab_ignore_exclusive, uint, 0644);

"""

_IGNORE_NESTED = """\
#include <linux/moduleparam.h>

/* 1: others' pending flushes are no reason to flush. */
static unsigned int ignore_nested __read_mostly;
module_param(ignore_nested, uint, 0644);

"""

_MPROTECT, _MEMORY, _GUP, _GATHER = "mm/mprotect.c", "mm/memory.c", "mm/gup.c", "mm/mmu_gather.c"

EDITS = (
    Edit(_MPROTECT, "mprotect_fixup", "", "before", _STATE),
    Edit(_MPROTECT, "mprotect_fixup", _HEAD, "instead", _CUT_HEAD),
    Edit(_MPROTECT, "mprotect_fixup", "change_protection(tlb, vma, start, end,", "before",
         _DOWNGRADE_BEFORE_WALK),
    Edit(_MPROTECT, "mprotect_fixup", "vm_stat_account(mm, oldflags, -nrpages);", "before",
         _ACCOUNT),
    Edit(_MPROTECT, "mprotect_fixup", "vm_stat_account(mm, newflags, nrpages);", "before",
         _ACCOUNT),
    Edit(_MPROTECT, "mprotect_fixup", "", "after", _WRAPPER),
    Edit(_MPROTECT, "do_mprotect_pkey", "struct mmu_gather tlb;", "after",
         "\n\tstruct cut_state cut = { .where = READ_ONCE(mprotect_cut) };"),
    Edit(_MPROTECT, "do_mprotect_pkey", "tlb_gather_mmu(&tlb, current->mm);", "after",
         "\n\tcut.end = end;"),
    Edit(_MPROTECT, "do_mprotect_pkey",
         "error = mprotect_fixup(&tlb, vma, &prev, nstart, tmp, newflags);", "instead",
         "error = mprotect_fixup_cut(&tlb, vma, &prev, nstart, tmp, newflags, &cut);"),
    Edit(_MPROTECT, "do_mprotect_pkey", "vma = find_vma(current->mm, prev->vm_end);", "before",
         _RETAKE),
    Edit(_MPROTECT, "do_mprotect_pkey", "tlb_finish_mmu(&tlb);", "before",
         _DOWNGRADE_BEFORE_FLUSH),
    Edit(_MPROTECT, "do_mprotect_pkey", "mmap_write_unlock(current->mm);", "instead", _UNLOCK),
    Edit(_MEMORY, "do_wp_page", "", "before", _IGNORE_EXCLUSIVE),
    Edit(_MEMORY, "do_wp_page", "if (PageAnonExclusive(vmf->page))", "instead",
         "if (!READ_ONCE(lab_ignore_exclusive) && PageAnonExclusive(vmf->page))"),
    Edit(_MPROTECT, "can_change_pte_writable", "", "before",
         "extern unsigned int lab_ignore_exclusive;\n\n"),
    Edit(_MPROTECT, "can_change_pte_writable",
         "if (!page || !PageAnon(page) || !PageAnonExclusive(page))", "instead",
         "if (!page || !PageAnon(page) || READ_ONCE(lab_ignore_exclusive) ||\n"
         "\t\t    !PageAnonExclusive(page))"),
    Edit(_GUP, "can_follow_write_pte", "", "before",
         "extern unsigned int lab_ignore_exclusive;\n\n"),
    Edit(_GUP, "can_follow_write_pte",
         "if (!page || !PageAnon(page) || !PageAnonExclusive(page))", "instead",
         "if (!page || !PageAnon(page) || !PageAnonExclusive(page) ||\n"
         "\t    (READ_ONCE(lab_ignore_exclusive) && page_count(page) > 1))"),
    Edit(_GATHER, "tlb_finish_mmu", "", "before", _IGNORE_NESTED),
    Edit(_GATHER, "tlb_finish_mmu", "if (mm_tlb_flush_nested(tlb->mm))", "instead",
         "if (!READ_ONCE(ignore_nested) && mm_tlb_flush_nested(tlb->mm))"),
)  # fmt: skip


def definition(text: str, function: str, file: str) -> tuple[int, int]:
    """Return where the definition of a function begins and ends, its head and last brace included.

    The kernel's style is relied on: a definition begins at column 0 and ends with the first brace
    at column 0 after it. The return type may stand on a line of its own.

    Raises
    ------
    ChangeError
        If there is not exactly one definition.
    """
    head = re.compile(
        rf"^(?:[a-z_][\w ]*[\w *]\n)?(?:[a-z_][\w *]*[ *])?{re.escape(function)}\([^;{{}}]*\)"
        r"(?:\s*__\w+\([^()]*\))*\s*\n\{",
        re.MULTILINE,
    )
    found = list(head.finditer(text))
    if len(found) != 1:
        many = "no" if not found else f"{len(found)}"
        raise ChangeError(f"{file}: {many} definition of the function {function}() was found")
    end = text.find("\n}", found[0].end())
    if end < 0:
        raise ChangeError(f"{file}: the function {function}() has no end")
    return found[0].start(), end + 2


def _pattern(statement: str) -> re.Pattern[str]:
    """Return a pattern of the same words and signs with any spacing between them."""
    words = re.findall(r"\w+|[^\w\s]", statement)
    parts = [words[0]]
    for before, word in pairwise(words):
        apart = re.match(r"\w", before) and re.match(r"\w", word)
        parts.append(r"\s+" if apart else r"\s*")
        parts.append(word)
    escaped = (part if part.startswith("\\s") else re.escape(part) for part in parts)
    return re.compile(r"(?<!\w)" + "".join(escaped) + (r"(?!\w)" if words[-1].isalnum() else ""))


def _place(text: str, edit: Edit) -> tuple[int, int]:
    """Return the piece of the text that an edit replaces (empty if it only adds)."""
    start, end = definition(text, edit.function, edit.file)
    if edit.statement:
        found = list(_pattern(edit.statement).finditer(text, start, end))
        if len(found) != 1:
            many = "not there" if not found else f"there {len(found)} times"
            raise ChangeError(
                f"{edit.file}: in the function {edit.function}() the statement"
                f" '{edit.statement}' is {many}"
            )
        start, end = found[0].span()
    if edit.place == "before":
        return start, start
    return (end, end) if edit.place == "after" else (start, end)


def change(text: str, edits: list[Edit] | tuple[Edit, ...]) -> str:
    """Return the text with all edits made.

    All places are looked up in the text as it was given, so that no edit is found in another's
    words.

    Raises
    ------
    ChangeError
        If a place is missing or ambiguous, or two edits overlap.
    """
    placed = sorted(
        ((*_place(text, edit), i, edit.text) for i, edit in enumerate(edits)), key=lambda p: p[:3]
    )
    result, at = [], 0
    for start, end, i, new in placed:
        if start < at:
            raise ChangeError(f"the edits of {edits[i].function}() overlap")
        result += [text[at:start], new]
        at = end
    return "".join([*result, text[at:]])


def change_tree(tree: Path) -> list[Path]:
    """Change a kernel tree; all files or none.

    Returns
    -------
    list of Path
        The files that were changed.

    Raises
    ------
    ChangeError
        If this is no 6.1 tree or a place is not found. Nothing is written then.
    """
    makefile = tree / "Makefile"
    if not makefile.is_file():
        raise ChangeError(f"{tree} is no kernel tree: it has no Makefile")
    said = re.findall(r"^(VERSION|PATCHLEVEL) = (\d+)$", makefile.read_text("utf-8"), re.MULTILINE)
    version = ".".join(number for _, number in said)
    if version != "6.1":
        raise ChangeError(f"{tree} is Linux {version or 'of an unknown version'} and not 6.1")
    changed = {}
    for name in dict.fromkeys(edit.file for edit in EDITS):
        path = tree / name
        if not path.is_file():
            raise ChangeError(f"{path} is missing")
        text = path.read_text(encoding="utf-8")
        changed[path] = change(text, [edit for edit in EDITS if edit.file == name])
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    return list(changed)


def main() -> int:
    """Change the tree that the command line names."""
    if len(sys.argv) != 2:
        print("usage: python change.py KERNEL_TREE", file=sys.stderr)
        return 2
    try:
        for path in change_tree(Path(sys.argv[1])):
            print(f"changed {path}")
    except ChangeError as error:
        print(f"change.py: {error}; nothing was changed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
