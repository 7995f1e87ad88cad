"""Durations and sizes as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tidemill.errors import BadSetting
from tidemill.graph.durations import seconds
from tidemill.graph.sizes import byte_count


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2m", 120), ("1h30m", 5400), ("6h", 21600), ("2d", 172800), ("1w", 604800), ("250ms", 0.25), ("1.5h", 5400), (" 1h 5s ", 3605),
        ("90", 90), (90, 90), (0.5, 0.5), (0, 0), (timedelta(minutes=2), 120),
    ],
)  # fmt: skip
def test_a_duration_is_seconds(written: object, meant: float) -> None:
    assert seconds(written) == pytest.approx(meant)


@pytest.mark.parametrize(
    "written", ["", "soon", "2 fortnights", "m2", "2mm", "-3s", -1, float("inf"), float("nan"), True, None, [], timedelta(-1)]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(BadSetting, match=r"(?s)timeout=.* is not a duration.*timeout='2m'"):
        seconds(written, name="timeout")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("300MB", 300_000_000),
        ("2GiB", 2**31),
        ("512k", 512_000),
        ("1.5 GB", 1_500_000_000),
        ("10b", 10),
        ("10", 10),
        (7, 7),
        ("1TiB", 2**40),
    ],
)
def test_a_size_is_bytes(written: object, meant: int) -> None:
    assert byte_count(written) == meant


@pytest.mark.parametrize("written", ["", "much", "3XB", "0", 0, -1, 1.5, True, None])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(BadSetting, match=r"(?s)memory=.* is not an amount of bytes.*memory='300MB'"):
        byte_count(written, name="memory")
