"""Readiness of a log for churn by cancellation, which needs starts and ends of contracts only."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import duckdb
import numpy as np

from stagecast.features.clock import DAY_MICROSECONDS, from_microseconds, iso
from stagecast.features.contracts import NEVER, Spells
from stagecast.features.engines.duckdb import DailyTable
from stagecast.training.cancellation.fitting import has_enough
from stagecast.training.cancellation.landmarks import past, steps_of
from stagecast.training.cancellation.model import FEWEST_TO_LEARN
from stagecast.training.churn_kinds.cancellation import WORDING
from stagecast.training.config import TrainConfig
from stagecast.training.inactivity.model import Method
from stagecast.training.judging.readiness.answer import Ability, ContractCounts, Readiness
from stagecast.training.judging.readiness.counting import EVALUATION_HORIZONS, Known, known_at

NO_PURCHASES = "nobody bought: orders and money stay empty; P(cancelled) needs none"


def of_contracts(con: duckdb.DuckDBPyConnection, as_of: datetime, config: TrainConfig) -> Readiness:
    """Return what a training on the contracts of a log would do, without fitting anything.

    Parameters
    ----------
    con
        Holds the table ``events`` of the event contract (:mod:`stagecast.features.events`).
    as_of
        The instant to train at; only what was known before it is counted.
    config
        Horizon and event types of the contracts.
    """
    with con.cursor() as cursor:
        log = known_at(cursor, as_of)
    spells, orders = None, np.zeros(0, dtype=np.int64)
    if log.customers:
        table = DailyTable(con, as_of)
        spells = table.spells(config.terms)
        orders = np.bincount(table.purchase_days().customer)
        table.close()
    horizon, buyers = config.horizon_days, int((orders > 0).sum())
    method = _method(log, spells, config)
    suggested, suggested_method = log.longest_evaluated(horizon), None
    if suggested is not None:
        suggested_method = _method(log, spells, replace(config, horizon_days=suggested))
    missing = _missing(log, spells, config, buyers)
    return Readiness(
        as_of=iso(as_of),
        horizon_days=horizon,
        history_days=log.history_days,
        buyers=buyers,
        repeat_buyers=int((orders > 1).sum()),
        gap_days=None,
        method=method,
        abilities=tuple(Ability(name, not lacks, tuple(lacks)) for name, lacks in missing.items()),
        suggested_horizon_days=None if suggested_method is None else suggested,
        suggested_method=suggested_method,
        notes=() if method is None else (f"method {method}: {WORDING.methods[method]}",),
        churn="cancellation",
        contracts=None if spells is None else counts_of(spells),
    )


def counts_of(spells: Spells) -> ContractCounts:
    """Return the counts and dates of contracts."""
    ends = spells.end[~spells.open]
    return ContractCounts(
        contracts=len(spells),
        open=int(spells.open.sum()),
        cancelled=spells.cancellations,
        announced=int((spells.announced_end != NEVER).sum()),
        ignored_cancellations=spells.ignored_cancellations,
        first_start=iso(from_microseconds(int(spells.start.min()))) if len(spells) else None,
        last_cancellation=iso(from_microseconds(int(ends.max()))) if len(ends) else None,
    )


def _refusals(
    log: Known, spells: Spells | None, config: TrainConfig, history_needed: int
) -> list[str]:
    """Return why a training is refused with so many days of history needed.

    The rules are those of :mod:`stagecast.training.checks`.
    """
    missing = log.refused_dates(config.horizon_days, history_needed)
    if spells is None:
        return missing
    if not len(spells):
        types = ", ".join([*config.terms.starts, *config.terms.renewals])
        return [*missing, f"no event that begins a contract (one of {types})"]
    if not spells.cancellations:
        types = ", ".join(config.terms.ends)
        return [
            *missing,
            f"none of {len(spells):,} contracts was cancelled (no event {types} while one was "
            "open)",
        ]
    return missing


def _method(log: Known, spells: Spells | None, config: TrainConfig) -> Method | None:
    """Return the method of P(cancelled); None where a training is refused."""
    if spells is None or _refusals(log, spells, config, config.horizon_days):
        return None
    return "rule" if _missing_blend(spells, config) else "blend"


def _missing_blend(spells: Spells, config: TrainConfig) -> list[str]:
    """Return what a pool of models lacks.

    The rules are those of :mod:`stagecast.training.cancellation.fitting`.
    """
    if spells.cancellations < FEWEST_TO_LEARN:
        return [f"{spells.cancellations:,} cancellations, {FEWEST_TO_LEARN} are needed"]
    landmarks = past(spells, config.horizon_days, config.seed)
    steps = steps_of(spells, landmarks, config.horizon_days)
    if not len(landmarks) or not has_enough(landmarks, steps):
        return [
            f"fewer than {FEWEST_TO_LEARN} cancellations within the horizons of past dates, or no "
            "contract that outlasted one"
        ]
    return []


def _missing(
    log: Known, spells: Spells | None, config: TrainConfig, buyers: int
) -> dict[str, list[str]]:
    """Return ability -> what it lacks; nothing where it is allowed."""
    horizon = config.horizon_days
    refused = _refusals(log, spells, config, horizon)
    evaluation = _refusals(log, spells, config, EVALUATION_HORIZONS * horizon)
    if not evaluation and spells is not None:
        at = spells.as_of - horizon * DAY_MICROSECONDS
        if not spells.at_risk(at).any():
            evaluation = [f"no contract was open on {log.before(horizon)}, one horizon back"]
    no_purchases = [] if buyers else [NO_PURCHASES]
    no_amounts = [] if log.has_amounts else ["no amounts: values cannot be told"]
    blend = refused if refused or spells is None else _missing_blend(spells, config)
    return {
        "rule": refused,
        "blend": blend,
        "evaluation": evaluation,
        "values": [*refused, *(no_purchases or no_amounts)],
        "intervals": [*evaluation, *(no_purchases or no_amounts)],
        "prospects": [*refused, *no_purchases],
        "cancellation": refused,
    }
