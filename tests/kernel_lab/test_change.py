"""The change script: what it makes of a source, and which sources it refuses."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from perfmodel.resources import calibration_path


def body(text: str, function: str) -> str:
    """Return a function's definition, spacing made even."""
    start = re.search(rf"^[\w *\n]*\b{function}\(", text, re.MULTILINE).start()
    return re.sub(r"\s+", " ", text[start : text.index("\n}", start) + 2])


def test_the_downgrade_comes_before_the_walk_and_the_counters_before_it(
    change, made_up, write_tree
):
    tree = write_tree(made_up)
    change.change_tree(tree)
    fixup = body((tree / "mm/mprotect.c").read_text(), "mprotect_fixup_cut")
    order = ["cut_before_walk(cut, vma)", "vm_stat_account(mm, oldflags", "mmap_write_downgrade(mm)",
             "change_protection(", "if (!cut || !cut->downgraded) vm_stat_account(mm, oldflags",
             "if (!cut || !cut->downgraded) vm_stat_account(mm, newflags"]  # fmt: skip
    places = [fixup.index(words) for words in order]
    assert places == sorted(places)


def test_the_call_flushes_before_it_drops_the_lock_and_finds_everything_anew(
    change, made_up, write_tree
):
    tree = write_tree(made_up)
    change.change_tree(tree)
    call = body((tree / "mm/mprotect.c").read_text(), "do_mprotect_pkey")
    order = ["tlb_gather_mmu(", "cut.end = end;", "mprotect_fixup_cut(", "if (cut.downgraded)",
             "tlb_finish_mmu(&tlb); mmap_read_unlock(", "mmap_write_lock_killable(",
             "return -EINTR", "tlb_gather_mmu(&tlb, current->mm); if", "find_vma_prev(", "continue;",
             "find_vma(current->mm, prev->vm_end)", "if (cut.where == CUT_K1)",
             "mmap_write_downgrade(current->mm)", "tlb_finish_mmu(&tlb); out:",
             "if (cut.downgraded) mmap_read_unlock(current->mm); else mmap_write_unlock("]  # fmt: skip
    places, at = [], 0
    for words in order:
        at = call.index(words, at)
        places.append(at)
    assert places == sorted(places)


def test_exec_keeps_the_function_it_knows_and_other_functions_their_locks(
    change, made_up, write_tree
):
    tree = write_tree(made_up)
    change.change_tree(tree)
    text = (tree / "mm/mprotect.c").read_text()
    assert "newflags, NULL)" in body(text, "mprotect_fixup")
    assert body(text, "another") == body(made_up["mm/mprotect.c"], "another")


def test_spacing_and_a_return_type_on_its_own_line_do_not_matter(change, made_up, write_tree):
    text = made_up["mm/mprotect.c"].replace("int\nmprotect_fixup", "int mprotect_fixup")
    text = text.replace("vma = find_vma(current->mm, prev->vm_end)",
                        "vma = find_vma( current->mm,\n\t\t\tprev->vm_end )")  # fmt: skip
    tree = write_tree({**made_up, "mm/mprotect.c": text})
    change.change_tree(tree)
    assert "find_vma_prev(" in (tree / "mm/mprotect.c").read_text()


@pytest.mark.parametrize(
    ("file", "old", "new", "function", "said"),
    [
        ("mm/mprotect.c", "tlb_finish_mmu(&tlb);", "tlb_finish(&tlb);", "do_mprotect_pkey",
         "'tlb_finish_mmu(&tlb);' is not there"),
        ("mm/mprotect.c", "mmap_write_unlock(current->mm);\n\treturn error;",
         "mmap_write_unlock(current->mm);\n\tmmap_write_unlock(current->mm);", "do_mprotect_pkey",
         "'mmap_write_unlock(current->mm);' is there 2 times"),
        ("mm/mprotect.c", "do_mprotect_pkey", "do_mprotect", "do_mprotect_pkey",
         "no definition of the function"),
        ("mm/memory.c", "PageAnonExclusive(vmf->page)", "exclusive(vmf->page)", "do_wp_page",
         "is not there"),
        ("mm/mmu_gather.c", "tlb_finish_mmu", "finish", "tlb_finish_mmu", "no definition"),
        ("mm/gup.c", "|| !PageAnon(page)", "", "can_follow_write_pte", "is not there"),
    ],
)  # fmt: skip
def test_a_source_that_does_not_match_is_refused_and_left_as_it_is(
    change, made_up, write_tree, file, old, new, function, said
):
    assert old in made_up[file]
    files = {**made_up, file: made_up[file].replace(old, new)}
    tree = write_tree(files)
    with pytest.raises(change.ChangeError) as error:
        change.change_tree(tree)
    assert file in str(error.value)
    assert f"{function}()" in str(error.value)
    assert said in str(error.value)
    assert {name: (tree / name).read_text() for name in files} == files


def test_another_version_is_refused(change, made_up, write_tree):
    tree = write_tree({**made_up, "Makefile": "VERSION = 6\nPATCHLEVEL = 2\n"})
    with pytest.raises(change.ChangeError, match=r"6\.2 and not 6\.1"):
        change.change_tree(tree)


def test_a_tree_is_changed_once_only(change, made_up, write_tree):
    tree = write_tree(made_up)
    change.change_tree(tree)
    with pytest.raises(change.ChangeError):
        change.change_tree(tree)


def test_the_script_says_what_it_could_not_find(made_up, write_tree):
    tree = write_tree({**made_up, "mm/gup.c": "int nothing;\n"})
    script = str(calibration_path("kernel_lab", "change.py"))
    done = subprocess.run(
        [sys.executable, script, str(tree)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "can_follow_write_pte()" in done.stderr
    assert "nothing was changed" in done.stderr


def test_overlapping_edits_are_refused(change):
    text = "int f(void)\n{\n\ta = b;\n}\n"
    edits = [change.Edit("x.c", "f", "a = b;", "instead", "c;"),
             change.Edit("x.c", "f", "b;", "instead", "d;")]  # fmt: skip
    with pytest.raises(change.ChangeError, match="overlap"):
        change.change(text, edits)


def test_cuts_have_the_numbers_the_plan_gives_them(change):
    from perfmodel.measure.kernel_lab import CUTS

    assert change.CUTS == CUTS
