"""The bus, on a real Redis: what is told when it is full, away or lied to."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.wire

CASES = Path(__file__).with_name("bus_cases.py")


# bus_cases.py patches its process, which is why it is not imported here.
@pytest.mark.parametrize("case", re.findall(r"^def (\w+)\(redis: Redis\)", CASES.read_text(), re.MULTILINE))
def test_the_bus(case: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.wire.bus_cases", case], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
