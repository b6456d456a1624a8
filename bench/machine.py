"""Where figures were taken, and where they are kept."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def machine() -> dict[str, Any]:
    """This machine, now."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _first_line("git", "rev-parse", "--short", "HEAD"),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "node": _first_line("node", "--version"),
        "mariadb": _first_line("mariadbd", "--version"),
    }


def keep(name: str, figures: dict[str, Any]) -> None:
    """Write results/<name>.json, with where it was measured."""
    (RESULTS / f"{name}.json").write_text(json.dumps(figures | {"machine": machine()}, indent=1) + "\n")


def kept(name: str) -> dict[str, Any]:
    """What results/<name>.json holds."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def _first_line(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "?"
