"""A new training against the champion: compared, promoted or not, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from stagecast.features.clock import DAY, iso, parse_instant
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.config import TrainConfig
from stagecast.training.promotion.compare import compare, incomparable
from stagecast.training.promotion.gate import Check, Decision, decide, refused
from stagecast.training.promotion.records import Look
from stagecast.training.promotion.registry import Registry
from stagecast.training.promotion.rules import Rules

FIRST = "the first of its name: there is no champion to compare with"


@dataclass(frozen=True)
class Challenge:
    """A challenger, its champion, and what was decided.

    Parameters
    ----------
    name
        The registered model.
    challenger, champion
        Versions; the champion is None where there was none.
    decision
        Whether the challenger is promoted, and why.
    """

    name: str
    challenger: str
    champion: str | None
    decision: Decision

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "name": self.name,
            "challenger": self.challenger,
            "champion": self.champion,
            **self.decision.to_json(),
        }


def challenge(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    registry: Registry,
    version: str,
    config: TrainConfig,
    rules: Rules | None = None,
    *,
    promote: bool = True,
    notify: Callable[[str], object] = lambda step: None,
) -> Challenge:
    """Compare a version with the champion of its name, and promote it if it passes.

    Parameters
    ----------
    connection
        Holds the table ``events`` of the event contract.
    as_of
        As_of of the challenger's training; outcomes are known up to it.
    version, config
        The challenger, and the settings that it was trained with: its procedure.
    rules
        What it must show; None: the usual.
    promote
        Whether to promote it and to count this look; else it is only compared.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The registry cannot be read or written, or another process was quicker.
    """
    rules = rules or Rules()
    champion = registry.champion()
    if champion == version:
        raise UsageError(f"version {version} is the champion of {registry.name} already")
    if champion is None:
        decision = Decision(True, (Check("first", True, FIRST),))
    else:
        decision = _decision(
            connection, as_of, registry, champion, config, rules, promote=promote, notify=notify
        )
    if promote:
        why = "; ".join(decision.reasons)
        if decision.look and champion is not None:
            now = iso(datetime.now(UTC).replace(microsecond=0))
            registry.note(Look(champion, version, iso(as_of), now, decision.promote, why))
        if decision.promote:
            numbers = {check.name: dict(check.numbers) for check in decision.checks}
            registry.promote(version, why, numbers, instead_of=champion, check=True)
    return Challenge(registry.name, version, champion, decision)


def _decision(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    registry: Registry,
    champion: str,
    config: TrainConfig,
    rules: Rules,
    *,
    promote: bool,
    notify: Callable[[str], object],
) -> Decision:
    looks = registry.looks(champion)
    if promote and (waiting := too_soon(looks, as_of, config.horizon_days, rules)):
        return refused("wait", waiting)
    try:
        bundle = registry.bundle(champion)
    except DataRefusedError as error:
        return refused(
            "champion", f"the champion cannot be read, and not be compared with: {error}"
        )
    if problem := incomparable(bundle, config, _zone(connection)):
        return refused("comparable", problem)
    dates = compare(connection, as_of, bundle, config, rules.max_dates, notify)
    return decide(dates, config.horizon_days, rules, look=len(looks) + 1)


def too_soon(looks: Sequence[Look], as_of: datetime, horizon_days: int, rules: Rules) -> str | None:
    """Return why a champion is not challenged yet again; None where it is.

    A look a few days after the last one sees the same outcomes, and would use up error rate.
    """
    if not looks:
        return None
    last = parse_instant(looks[-1].as_of)
    days = (as_of.replace(tzinfo=UTC) - last.replace(tzinfo=UTC)) / DAY
    wait = rules.wait_share * horizon_days
    if days >= wait:
        return None
    return (
        f"this champion was challenged {days:.1f} days ago (version {looks[-1].challenger}): the "
        f"next time is {wait:.1f} days after that, since before there is little new to see"
    )


def _zone(connection: duckdb.DuckDBPyConnection) -> str:
    from stagecast.features.shop.events import clock_of

    return clock_of(connection).zone
