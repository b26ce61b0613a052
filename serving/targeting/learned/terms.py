"""Terms of a plan whose effects are those of the plans before."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import sqlalchemy as sa

from stagecast.serving.store.plan_tables import readouts
from stagecast.serving.store.published_runs import Run
from stagecast.serving.targeting.learned.effects import (
    LearnedEffects,
    learned_effects,
    require_learned,
)
from stagecast.serving.targeting.plan.sources import is_contract
from stagecast.serving.targeting.plan.terms import Terms


@lru_cache(maxsize=8)
def _learned(engine: sa.Engine, last: int, contracts: bool) -> LearnedEffects | None:
    """Return what the closed plans teach, as of the number of the last read-out."""
    return learned_effects(engine, contracts=contracts)


def with_default_effects(engine: sa.Engine, run: Run, terms: Terms) -> Terms:
    """Return terms in which the effects that they leave open are learned where any plan shows them.

    Without a closed plan that shows an effect, or where the terms state both, they are unchanged.

    Parameters
    ----------
    engine, run, terms
        As for :func:`with_learned_effects`.
    """
    if terms.effects.keep is not None and terms.effects.win_back is not None:
        return terms
    query = sa.select(sa.func.max(readouts.c.id)).where(readouts.c.closed.is_(True))
    with engine.connect() as connection:
        last = connection.scalar(query)
        if last is None:
            return terms
        contracts = is_contract(connection, run.id)
    learned = _learned(engine, last, contracts)
    return terms if learned is None else replace(terms, effects=learned.effects(terms.effects))


def with_learned_effects(engine: sa.Engine, run: Run, terms: Terms) -> Terms:
    """Return terms in which the effects that they leave open are learned from closed plans.

    Parameters
    ----------
    engine
        The store.
    run
        The published scores, which say whether churn is the end of a contract.
    terms
        What the plan is asked for; an effect that they state stays.

    Raises
    ------
    NotEnoughDataError
        Nothing can be learned.
    """
    with engine.connect() as connection:
        contracts = is_contract(connection, run.id)
    learned = require_learned(engine, contracts=contracts)
    return replace(terms, effects=learned.effects(terms.effects))
