"""Terms of a plan whose effects are those of the plans before."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from stagecast.serving.store.store import Run
from stagecast.serving.targeting.learned.effects import require_learned
from stagecast.serving.targeting.plan.sources import is_contract
from stagecast.serving.targeting.plan.terms import Terms


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
