"""Is the downgrade safe? The rule about stale TLB entries, as a table."""

from perfmodel.stale_tlb.rules import Safety, safety

__all__ = ["Safety", "safety"]
