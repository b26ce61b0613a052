"""A version of a registered model, as MLflow lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from stagecast.features.arguments.values import refuse, whole_number
from stagecast.features.clock import iso
from stagecast.training.tracking.registering import CHALLENGER

CHAMPION: Final = "champion"


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    Parameters
    ----------
    number
        As MLflow counts, from 1.
    aliases
        ``champion`` and ``challenger`` among them.
    model_version, as_of, grade
        Of the bundle; None where the version was registered by other means.
    created
        When it was registered, UTC.
    """

    number: str
    aliases: tuple[str, ...]
    model_version: str | None
    as_of: str | None
    grade: str | None
    created: datetime

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "version": self.number,
            "aliases": list(self.aliases),
            "model_version": self.model_version,
            "as_of": self.as_of,
            "grade": self.grade,
            "created": iso(self.created),
        }


def version_number(value: Any, name: str = "version") -> str:
    """Return the number of a version as MLflow writes it, of a text or a whole number.

    Raises
    ------
    UsageError
        It is neither, or below 1.

    >>> version_number(2), version_number("2")
    ('2', '2')
    """
    give = "the number of a version, like 2 or '2'"
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and int(value)):
            refuse(value, name, give)
        return str(int(value))
    return str(whole_number(value, name, give, least=1))


def reason(value: Any) -> str:
    """Return the reason of a move; raise UsageError where it says nothing."""
    if not isinstance(value, str) or not value.strip():
        refuse(value, "why", "the reason in words, for the record, like 'orders are met better'")
    return str(value)


def aliases_of(model: Any) -> dict[str, str]:
    """Return the aliases of a registered model: name -> version.

    A version that is champion challenges nobody: where a promotion was killed before it took the
    alias away, or an earlier version of the program made it, ``challenger`` is left out.
    """
    aliases = {str(name): str(version) for name, version in model.aliases.items()}
    if CHALLENGER in aliases and aliases.get(CHAMPION) == aliases[CHALLENGER]:
        del aliases[CHALLENGER]
    return aliases


def version_of_row(row: Any, aliases: Mapping[str, str]) -> Version:
    """Return a version of a row of MLflow's search and the aliases of its model."""
    own = tuple(sorted(a for a, version in aliases.items() if str(version) == str(row.version)))
    return Version(
        number=str(row.version),
        aliases=own,
        model_version=row.tags.get("model_version"),
        as_of=row.tags.get("as_of"),
        grade=row.tags.get("grade"),
        created=datetime.fromtimestamp(row.creation_timestamp / 1000, UTC),
    )
