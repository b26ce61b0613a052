"""Tables of a scheme file: values checked for their kind, with errors that name the place."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from math import isfinite
from typing import Any

from stagecast.features.errors import UsageError, did_you_mean

LANGUAGES = ("en", "ru", "fa")


@dataclass(frozen=True)
class Entry:
    """One table of a scheme file; its methods return the values, checked for their kind.

    Raises
    ------
    UsageError
        A key is unknown, missing, or has a value of the wrong kind; the message names the key.
    """

    values: Mapping[str, Any]
    where: str
    keys: Set[str]

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.values) - self.keys):
            raise UsageError(
                f"{self.where}: unknown key '{unknown[0]}'.{did_you_mean(unknown[0], self.keys)}"
            )

    def _get(self, key: str, kind: type, expected: str) -> Any:
        if key not in self.values:
            raise UsageError(f"{self.where}: key '{key}' is missing")
        value = self.values[key]
        if not isinstance(value, kind):
            raise UsageError(f"{self.where}: '{key}' is {value!r}; it must be {expected}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and key not in self.values:
            return default
        return str(self._get(key, str, "a text"))

    def flag(self, key: str, *, default: bool = False) -> bool:
        return bool(self._get(key, bool, "true or false")) if key in self.values else default

    def number(self, key: str) -> float | None:
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise UsageError(f"{self.where}: '{key}' is {value!r}; it must be a number")
        return float(value)

    def texts_by_language(self, key: str) -> dict[str, str]:
        texts = dict(self._get(key, dict, "a table, like { en = 'New' }"))
        for language, text in texts.items():
            if language not in LANGUAGES:
                raise UsageError(
                    f"{self.where}: '{key}' has '{language}', which is none of "
                    f"{', '.join(LANGUAGES)}"
                )
            if not isinstance(text, str):
                raise UsageError(
                    f"{self.where}: '{key}' is {text!r} in '{language}'; it must be a text"
                )
        if "en" not in texts:
            raise UsageError(
                f"{self.where}: '{key}' has no English text; give at least {{ en = '...' }}"
            )
        return texts

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._list(key, str, "a list of texts, like ['new', 'repeat']"))

    def tables(self, key: str, *, optional: bool = False) -> list[dict[str, Any]]:
        if optional and key not in self.values:
            return []
        return self._list(key, dict, f"tables, each under [[{key}]]")

    def table(self, key: str) -> dict[str, Any]:
        return dict(self._get(key, dict, "a table")) if key in self.values else {}

    def _list(self, key: str, kind: type, expected: str) -> list[Any]:
        items = list(self._get(key, list, expected))
        if not all(isinstance(item, kind) for item in items):
            raise UsageError(f"{self.where}: '{key}' is {items!r}; it must be {expected}")
        return items
