"""Numbers from numbers, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of sorted values."""
    rank = max(0, min(len(ordered) - 1, round(percent / 100 * len(ordered) + 0.5) - 1))
    return ordered[rank]


def summary(seconds: Iterable[float]) -> dict[str, float] | None:
    """p50, p99 and the largest, in milliseconds; None: nothing was measured."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    return {
        "p50_ms": percentile(ordered, 50) * 1000,
        "p99_ms": percentile(ordered, 99) * 1000,
        "max_ms": ordered[-1] * 1000,
    }


def middle(values: Sequence[float]) -> dict[str, float]:
    """The median of several rounds, with the range that was seen: the noise."""
    return {"median": median(values), "least": min(values), "most": max(values)}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Ours over theirs, round by round: what disturbed a round disturbed both."""
    return middle([a / b for a, b in zip(ours, theirs, strict=True)])


def ranged(value: dict[str, float], digits: int = 0) -> str:
    """12,345 (11,000 to 13,000)"""
    return f"{value['median']:,.{digits}f} ({value['least']:,.{digits}f} to {value['most']:,.{digits}f})"


def times(value: dict[str, float]) -> str:
    return f"{value['median']:.2f} x ({value['least']:.2f} to {value['most']:.2f})"


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Plain text columns; the first row is the head."""
    text = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in text) for column in range(len(text[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in text]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)
