"""Dataclasses as plain JSON values: the one way from a result to a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_KEY = "plain_json"

FLAT: Final = {_KEY: "flat"}
"""Metadata of a field whose dataclass has no object of its own: its keys stand among the others.

A field of None has no key.
"""

IF_KNOWN: Final = {_KEY: "if known"}
"""Metadata of a field that has no key where it is None; other fields of None are ``null``."""


def to_json(record: DataclassInstance) -> dict[str, Any]:
    """Return the fields of a dataclass, in their order, as dicts, lists, texts and numbers.

    Dataclasses, mappings, tuples and lists within it are converted, too; any other value is
    returned as it is, but for a 0 with a minus, which is 0.

    >>> from dataclasses import dataclass, field
    >>> @dataclass(frozen=True)
    ... class Part:
    ...     low: float
    ...     high: float | None
    >>> @dataclass(frozen=True)
    ... class Whole:
    ...     names: tuple[str, ...]
    ...     part: Part
    ...     ends: Part | None = field(metadata=FLAT)
    ...     note: str | None = field(default=None, metadata=IF_KNOWN)
    >>> to_json(Whole(("a", "b"), Part(1.0, None), Part(0.5, 2.0)))
    {'names': ['a', 'b'], 'part': {'low': 1.0, 'high': None}, 'low': 0.5, 'high': 2.0}
    """
    values: dict[str, Any] = {}
    for field in fields(record):
        value, shape = getattr(record, field.name), field.metadata.get(_KEY)
        if value is None and shape is not None:
            continue
        if shape == FLAT[_KEY]:
            values |= to_json(value)
        else:
            values[field.name] = _plain(value)
    return values


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return to_json(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return 0.0 if type(value) is float and value == 0.0 else value  # no "-0.0"
