"""A made-up little source: the functions and statements the change looks for, and nothing else."""

from __future__ import annotations

MAKEFILE = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 7\n"

MPROTECT = """\
#include <linux/mm.h>

static inline bool can_change_pte_writable(struct vm_area_struct *vma,
\t\t\t\t\t   unsigned long addr, pte_t pte)
{
\tif (!page || !PageAnon(page) || !PageAnonExclusive(page))
\t\treturn false;
\treturn true;
}

int
mprotect_fixup(struct mmu_gather *tlb, struct vm_area_struct *vma,
\t       struct vm_area_struct **pprev, unsigned long start,
\t       unsigned long end, unsigned long newflags)
{
\tif (newflags == oldflags) {
\t\treturn 0;
\t}
\tchange_protection(tlb, vma, start, end, vma->vm_page_prot, flags);

\tvm_stat_account(mm, oldflags, -nrpages);
\tvm_stat_account(mm, newflags, nrpages);
\treturn 0;
}

static int do_mprotect_pkey(unsigned long start, size_t len,
\t\tunsigned long prot, int pkey)
{
\tstruct mmu_gather tlb;
\tMA_STATE(mas, &current->mm->mm_mt, 0, 0);

\ttlb_gather_mmu(&tlb, current->mm);
\tfor (nstart = start ; ; ) {
\t\terror = mprotect_fixup(&tlb, vma, &prev, nstart, tmp, newflags);
\t\tif (error)
\t\t\tbreak;
\t\tvma = find_vma(current->mm, prev->vm_end);
\t}
\ttlb_finish_mmu(&tlb);
out:
\tmmap_write_unlock(current->mm);
\treturn error;
}

static long another(void)
{
\tmmap_write_unlock(current->mm);
\treturn 0;
}
"""

MEMORY = """\
static vm_fault_t do_wp_page(struct vm_fault *vmf)
\t__releases(vmf->ptl)
{
\tif (PageAnonExclusive(vmf->page))
\t\tgoto reuse;
\treturn 0;
}
"""

GUP = """\
static inline bool can_follow_write_pte(pte_t pte, struct page *page)
{
\tif (!page || !PageAnon(page) || !PageAnonExclusive(page))
\t\treturn false;
\treturn true;
}
"""

GATHER = """\
void tlb_finish_mmu(struct mmu_gather *tlb)
{
\tif (mm_tlb_flush_nested(tlb->mm)) {
\t\ttlb->fullmm = 1;
\t}
}
"""

FILES = {
    "Makefile": MAKEFILE,
    "mm/mprotect.c": MPROTECT,
    "mm/memory.c": MEMORY,
    "mm/gup.c": GUP,
    "mm/mmu_gather.c": GATHER,
}
