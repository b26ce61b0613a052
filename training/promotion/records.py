"""Records of promotions and of looks, as they stand in the tags of a registered model.

A record is written before the alias is moved, so that no move is without its record. A record whose
move did not happen, because its process was killed in between, is recognised by what came after it:
it took effect if the next record starts from its version, or, for the last one, if the champion is
its version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

PROMOTION, LOOK = "stagecast.promotion.", "stagecast.look."
"""Beginning of the tags; a number of six digits follows."""
MAX_CHARACTERS = 4_500
"""Some stores take no longer tags."""

Kind = Literal["promote", "rollback"]


@dataclass(frozen=True)
class Record:
    """A move of the champion.

    Parameters
    ----------
    kind
        ``promote``, or ``rollback`` to the champion before.
    to, from_
        Versions; ``from_`` is None for the first champion.
    who, when, why
        The user, ISO 8601 in UTC, and the reason in words.
    numbers
        What was measured, by check.
    """

    kind: Kind
    to: str
    from_: str | None
    who: str
    when: str
    why: str
    numbers: Mapping[str, Any]

    def to_text(self) -> str:
        """Return it as JSON, without the numbers where these are too many."""
        text = json.dumps(asdict(self), ensure_ascii=False)
        if len(text) <= MAX_CHARACTERS:
            return text
        short = {**asdict(self), "numbers": {}, "why": self.why[: MAX_CHARACTERS // 2]}
        return json.dumps(short, ensure_ascii=False)


@dataclass(frozen=True)
class Look:
    """One comparison of a challenger with a champion.

    Parameters
    ----------
    champion, challenger
        Versions.
    as_of
        As_of of the challenger, ISO 8601.
    when
        ISO 8601 in UTC.
    promote
        What was decided.
    why
        The reasons in words.
    """

    champion: str
    challenger: str
    as_of: str
    when: str
    promote: bool
    why: str

    def to_text(self) -> str:
        """Return it as JSON."""
        return json.dumps({**asdict(self), "why": self.why[:2_000]}, ensure_ascii=False)


def records_of(tags: Mapping[str, str]) -> list[Record]:
    """Return the records in the tags of a registered model, oldest first; others are left out."""
    return [Record(**_with_text(data)) for data in _numbered(tags, PROMOTION)]


def looks_of(tags: Mapping[str, str]) -> list[Look]:
    """Return the looks in the tags of a registered model, oldest first."""
    return [Look(**data) for data in _numbered(tags, LOOK)]


def next_tag(tags: Mapping[str, str], prefix: str) -> str:
    """Return the name of the next tag of a kind.

    >>> next_tag({"stagecast.look.000007": ""}, "stagecast.look.")
    'stagecast.look.000008'
    """
    numbers = [int(name.removeprefix(prefix)) for name in tags if name.startswith(prefix)]
    return f"{prefix}{max(numbers, default=0) + 1:06d}"


def carried_out(records: Sequence[Record], champion: str | None) -> list[Record]:
    """Return the records that took effect, oldest first.

    Parameters
    ----------
    champion
        Version that is champion now.
    """
    later = [*(record.from_ for record in records[1:]), champion]
    return [record for record, start in zip(records, later, strict=False) if record.to == start]


def previous_champion(records: Sequence[Record], champion: str | None) -> str | None:
    """Return the version that a rollback leads to; None where there is none.

    After a rollback, the next one goes further back.
    """
    stack: list[str | None] = []
    for record in carried_out(records, champion):
        if record.kind == "promote":
            stack.append(record.from_)
        elif stack:
            stack.pop()
    return stack[-1] if stack else None


def _with_text(data: dict[str, Any]) -> dict[str, Any]:
    """Return a record whose versions are texts; earlier versions kept a number as it was given."""
    versions = {name: data.get(name) for name in ("to", "from_")}
    return data | {name: str(v) for name, v in versions.items() if isinstance(v, int)}


def _numbered(tags: Mapping[str, str], prefix: str) -> list[dict[str, Any]]:
    rows = []
    for name in sorted(name for name in tags if name.startswith(prefix)):
        try:
            data = json.loads(tags[name])
        except ValueError:  # not ours: somebody wrote the tag by hand
            continue
        if isinstance(data, dict):
            rows.append(data)
    return rows
