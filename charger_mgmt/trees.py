"""The one way through a JSON tree."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

Members: TypeAlias = Callable[[dict[Any, Any]], Iterable[tuple[Any, Any]]]


def mapped(
    value: Any,
    leaf: Callable[[Any], Any],
    members: Members = dict.items,
    *,
    items: Callable[[list[Any]], Iterable[Any]] = iter,
    deepest: int = sys.maxsize,
    beyond: Callable[[Any], Any] = lambda value: value,
) -> Any:
    """A new tree, in which each value that is neither list nor object is what `leaf` makes of it.

    `members` gives the names and values that an object has in it, `items` what a list has. Lists and objects more
    than `deepest` levels down are what `beyond` makes of them.
    """

    def at(value: Any, left: int) -> Any:
        if type(value) is dict:
            return {name: at(item, left - 1) for name, item in members(value)} if left > 0 else beyond(value)
        if type(value) is list:
            return [at(item, left - 1) for item in items(value)] if left > 0 else beyond(value)
        return leaf(value)

    return at(value, deepest)


def without_nulls(value: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """An object's members that are not null."""
    return ((name, item) for name, item in value.items() if item is not None)
