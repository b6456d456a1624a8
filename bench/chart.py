"""The figures as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_OURS, _THEIRS = "#1f6f8b", "#b8b8b8"


def draw(figures: dict[str, Any], path: Path) -> None:
    """Bars for what is compared with somebody, with the range that was seen, into a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels: list[tuple[str, dict[str, dict[str, float]]]] = []
    if "heartbeats" in figures:
        panels.append(("Heartbeats a second", figures["heartbeats"]["per_second"]))
    for kind in figures.get("durable", {}).get("kinds", {}).values():
        panels.append((f"durable {kind['what']} a second", kind["per_second"]))
    if "lists" in figures:
        pages = {}
        for query in figures["lists"]["history"]:
            if "ratio" in query:
                pages[f"{query['query']}, page 1"] = _bar(query["page_1"])
                pages[f"{query['query']}, page {figures['lists']['far_page']:,}"] = _bar(query["far_page"])
        panels.append(("history, ms a page (p50, to p99)", pages))
    if not panels:
        return
    figure, axes = plt.subplots(len(panels), 1, figsize=(9, 1.2 + 1.9 * len(panels)), layout="constrained")
    for axis, (title, bars) in zip(axes if len(panels) > 1 else [axes], panels, strict=True):
        names = list(bars)
        medians = [bar["median"] for bar in bars.values()]
        errors = [
            [bar["median"] - bar["least"] for bar in bars.values()],
            [bar["most"] - bar["median"] for bar in bars.values()],
        ]
        ours = [name == "charger_mgmt" or "history" in title for name in names]
        colors = [_OURS if own else _THEIRS for own in ours]
        axis.barh(names, medians, xerr=errors, color=colors, ecolor="#555555", capsize=2)
        axis.invert_yaxis()
        axis.set_title(title, loc="left", fontsize=10)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bar(latency: dict[str, float]) -> dict[str, float]:
    return {"median": latency["p50_ms"], "least": latency["p50_ms"], "most": latency["p99_ms"]}
