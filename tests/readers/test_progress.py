"""How far the reading is: the share of all bytes of all files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from perfmodel.readers import read, traceblocks


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = traceblocks.feed_stream
    monkeypatch.setattr(
        "perfmodel.readers.tracefile.feed_stream",
        lambda text, stream, seen: feed(text, stream, seen, size=6000),
    )


@pytest.mark.usefixtures("small_blocks")
def test_shares_rise_to_one(traces: Path, tmp_path: Path) -> None:
    plain = (traces / "clock-mono.txt").read_bytes()
    (tmp_path / "a").write_bytes(plain)
    (tmp_path / "b.gz").write_bytes(gzip.compress(plain * 20))
    (tmp_path / "c").write_bytes(b"no trace")
    shares: list[float] = []
    table = read([tmp_path, traces / "clock-mono.txt"], progress=shares.append)
    assert len(table.reports) == 4
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert 0 < shares[0] < 0.2
    assert len(set(shares)) > 20
    assert table.groups[0].low.tolist() == read(tmp_path / "a").groups[0].low.tolist()


@pytest.mark.usefixtures("small_blocks")
def test_what_it_raises_ends_the_reading(traces: Path) -> None:
    def stop(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(traces / "clock-mono.txt", progress=stop)
