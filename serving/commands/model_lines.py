"""What ``stagecast models`` prints, and what ``train --register`` adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stagecast.serving.commands.console import table

if TYPE_CHECKING:
    from stagecast.serving.jobs.models import Listed, Registered
    from stagecast.training.promotion.challenge import Challenge
    from stagecast.training.promotion.records import Record


def challenge_lines(challenge: Challenge, *, only_compared: bool = False) -> list[str]:
    """Return what was decided of a challenger, and each check.

    Parameters
    ----------
    only_compared
        Nothing was changed, whatever was decided.
    """
    decision, name = challenge.decision, challenge.name
    against = (
        "" if challenge.champion is None else f" against champion {challenge.champion} of {name}"
    )
    verdict = "passes" if decision.promote else "does not pass"
    if not only_compared:
        verdict = "is promoted: champion" if decision.promote else "is not promoted: challenger"
        verdict += f" of {name} now" if decision.promote else f" of {name}"
    return [
        f"version {challenge.challenger}{against} {verdict}",
        *(f"  {'yes' if c.passed else 'NO '}  {c.name}: {c.sentence}" for c in decision.checks),
    ]


def listed_lines(models: Sequence[Listed]) -> list[str]:
    """Return registered models with their versions and the last moves of the champion."""
    if not models:
        return ["No registered models yet; make one: stagecast train EVENTS --register NAME"]
    lines: list[str] = []
    for model in models:
        rows = [["version", "aliases", "model", "as of", "grade", "registered"]]
        rows += [
            [
                version.number,
                ", ".join(version.aliases),
                version.model_version or "",
                version.as_of or "",
                version.grade or "",
                version.created.isoformat(timespec="seconds"),
            ]
            for version in model.versions
        ]
        lines += [model.name, *table(rows, {0})]
        lines += [f"  {line}" for record in model.history[-5:] for line in moved_lines("", record)]
        lines.append("")
    return lines[:-1]


def registered_lines(registered: Registered) -> list[str]:
    """Return which version a bundle is, and what can be done with it."""
    name, version = registered.name, registered.version
    what = f"{version.model_version} as of {(version.as_of or '')[:10]}"
    if not registered.is_new:
        aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
        return [f"{what} is version {version.number} of {name} already{aliases}"]
    first = (
        f"  compare: stagecast models compare EVENTS --name {name}"
        if registered.champion is not None
        else f"  {name} has no champion yet"
    )
    return [
        f"{what} is version {version.number} of {name} now, and its challenger",
        first,
        f"  make it champion: stagecast models promote {name} {version.number} --why TEXT",
    ]


def moved_lines(name: str, record: Record) -> list[str]:
    """Return who made which version champion, when and why."""
    of = f" of {name}" if name else ""
    before = "" if record.from_ is None else f" in place of version {record.from_}"
    how = "rolled back: " if record.kind == "rollback" else ""
    return [
        f"{how}version {record.to} is champion{of}{before} "
        f"({record.when}, {record.who}: {record.why})"
    ]
