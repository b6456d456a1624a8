"""Which environment variables the system reads, read from config.py itself."""

import re
from pathlib import Path

import config

_READ = re.compile(r'read\.\w+\(\s*"([A-Z_]+)"')


def variables() -> set[str]:
    """Every variable that config.py reads."""
    return set(_READ.findall(Path(config.__file__).read_text())) | set(config.DATABASE_VARIABLES)
