"""Is the downgrade safe? Every interleaving of one page-table entry, explored, and what follows.

`boundary` is the table of cells (call, cut, guard, transition, era) and who breaks each; `rules`
looks a call up in it. Below them: `state` and `program` say what a state and an actor are,
`actors/` holds the threads and CPUs, `eras` the rules of the kernel, `invariants` what must not
happen, `search` the breadth-first search, `schedule` a counterexample in words.
"""

from perfmodel.stale_tlb.rules import GUARDS, REVOKING, SCOPE, Safety, guarded_safety, safety

__all__ = ["GUARDS", "REVOKING", "SCOPE", "Safety", "guarded_safety", "safety"]
