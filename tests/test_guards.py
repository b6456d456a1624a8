"""The rules of docs/architecture.md that can be read from the source itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.messages import FROM_CHARGER, NEVER_REFUSED

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "charger_mgmt"
SOURCES = sorted(PACKAGE.rglob("*.py"))
EVERYTHING = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in SOURCES} - {"__init__"}

#: Rooms, and modules that stand beside them, in one order: each may import those before it.
ORDER = (
    "trees", "errors", "clock", "proxies", "database_url", "settings", "domain", "ocppj", "dialects", "beside",
    "websocket", "database", "feed", "bus", "central", "extensions", "intake", "web", "console",
    "sites", "access", "tags", "status", "chargers", "commands", "charging", "configuration", "reservations",
    "local_list", "smart_charging", "journal",
    "gateway", "simulate", "serving",
)  # fmt: skip
#: What a room may import, where that is less.
ONLY = {
    "domain": set(),
    "ocppj": {"trees"},
    "dialects": {"ocppj", "domain", "trees"},
    "websocket": {"clock"},
    "database": {"domain", "errors", "clock", "settings"},
    "web": {"trees", "domain", "errors", "clock", "central", "database", "extensions"},
    "simulate": {"ocppj", "clock"},
}
#: What a pure room may import from outside, beside the standard library.
PURE = {"ocppj": {"msgspec"}, "dialects": {"jsonschema_rs"}, "domain": {"msgspec"}}
#: Modules of the standard library that reach out of the process or read a clock.
IMPURE = {
    "asyncio", "http", "logging", "multiprocessing", "os", "random", "secrets", "select", "selectors", "signal",
    "socket", "sqlite3", "ssl", "subprocess", "threading", "time", "urllib.request",
}  # fmt: skip


def room_of(path: Path) -> str:
    """The room, or the name of a module that stands beside the rooms."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def sources_of(room: str) -> list[Path]:
    return [path for path in SOURCES if room_of(path) == room]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted absolute name) of every import, also inside functions and for types only."""
    package = ["charger_mgmt", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for name in node.names:
                yield node.lineno, f"{module}.{name.name}"


def where(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line} {what}"


def test_every_room_has_its_place() -> None:
    assert set(ORDER) == EVERYTHING


@pytest.mark.parametrize("room", ORDER)
def test_rooms_import_in_one_direction(room: str) -> None:
    """Imports for types only count, too."""
    allowed = ONLY.get(room, set(ORDER[: ORDER.index(room)])) | {room}
    wrong = [
        where(path, line, name)
        for path in sources_of(room)
        for line, name in imports(path)
        if name.startswith("charger_mgmt.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_import_nothing_that_reaches_out(room: str) -> None:
    allowed = set(sys.stdlib_module_names) | PURE[room] | {"charger_mgmt"}
    wrong = [
        where(path, line, name)
        for path in sources_of(room)
        for line, name in imports(path)
        if name.partition(".")[0] not in allowed or any(f"{name}.".startswith(f"{bad}.") for bad in IMPURE)
    ]
    assert wrong == []


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_take_now_as_an_argument(room: str) -> None:
    wrong = [
        where(path, node.lineno, ast.unparse(node))
        for path in sources_of(room)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("now", "utcnow", "today", "monotonic")
    ]
    assert wrong == []


def test_only_the_clock_reads_the_time_of_day() -> None:
    wrong = [
        where(path, node.lineno, ast.unparse(node))
        for path in SOURCES
        if room_of(path) != "clock"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("datetime.now", "datetime.utcnow", "time.time")
    ]
    assert wrong == []


def test_queries_never_commit() -> None:
    """Whoever opens the connection does, once."""
    wrong = [
        where(path, node.lineno, ast.unparse(node))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]
    assert wrong == []


def test_migrations_do_not_depend_on_the_application() -> None:
    """A migration says what was true when it was written; the models move on."""
    for path in (ROOT / "migrations" / "versions").glob("*.py"):
        assert "charger_mgmt" not in path.read_text(), path


def test_every_source_file_says_what_it_is() -> None:
    files = [
        *SOURCES,
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "migrations").rglob("*.py"),
        *ROOT.glob("*.py"),
    ]
    ours = [path for path in files if "node_modules" not in path.parts]
    undocumented = [str(path.relative_to(ROOT)) for path in ours if _has_code_without_docstring(path)]
    assert undocumented == []


def test_no_file_is_named_after_nothing() -> None:
    vague = {"utils.py", "util.py", "helpers.py", "helper.py", "misc.py", "common.py", "manager.py"}
    assert [path for path in SOURCES if path.name in vague] == []


def _has_code_without_docstring(path: Path) -> bool:
    module = ast.parse(path.read_text())
    return bool(module.body) and ast.get_docstring(module) is None


def test_every_fact_that_a_dialect_tells_has_its_handler() -> None:
    """docs/extending.md: a row, a reader, a function."""
    from charger_mgmt.dialects import flat
    from charger_mgmt.dialects.ocpp16 import table
    from charger_mgmt.gateway.dispatch import EFFECTS, FROM_MEMORY
    from charger_mgmt.serving.handlers import HANDLERS

    assert table.INCOMING.keys() == FROM_CHARGER
    assert {action for action, row in table.INCOMING.items() if row.never_refused} == NEVER_REFUSED
    rows = [*table.INCOMING.values(), *flat.INCOMING.values()]
    assert {row.fact for row in rows} <= HANDLERS.keys()
    assert {row.fact for row in rows if row.from_memory} == FROM_MEMORY.keys()
    assert EFFECTS.keys() <= HANDLERS.keys()


def test_only_what_we_send_has_an_effect() -> None:
    from charger_mgmt.commands.calls import CALLS
    from charger_mgmt.serving.handlers import EFFECTS

    assert EFFECTS.keys() <= CALLS.keys()
