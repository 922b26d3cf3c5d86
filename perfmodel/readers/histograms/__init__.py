"""Formats that count durations in bins: bpftrace's maps, funclatency of bcc and libbpf-tools."""

from perfmodel.readers.histograms import bpftrace_json, bpftrace_text, funclatency

__all__ = ["READERS"]

READERS = (bpftrace_json.READER, bpftrace_text.READER, funclatency.READER)
