"""What the contacts of a closed plan say of its ranking, with features from the log."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from stagecast.features.errors import StagecastError, UsageError
from stagecast.serving.jobs.plans import open_store
from stagecast.serving.reading import Reading
from stagecast.serving.store.tables import runs
from stagecast.serving.targeting.learned.closed import ClosedPlan, closed_plans
from stagecast.serving.targeting.learned.features import features_before
from stagecast.serving.targeting.learned.ranking import PlanRanking, rank_plan
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.errors import PlanStateError
from stagecast.training.bundle import Bundle, load_bundle


def learn_ranking(
    name: str, reading: Reading, *, depth: float, worth: float | None, store: str | None
) -> PlanRanking:
    """Compare rankings on the customers of a closed plan, and choose one.

    Parameters
    ----------
    name
        A plan that was read out after its window.
    reading
        The log, with at least what was known when the plan was made.
    depth, worth
        As for :func:`stagecast.serving.targeting.learned.ranking.rank_plan`.
    store
        The store; None: as the settings say.

    Raises
    ------
    stagecast.features.errors.StagecastError
        There is no such closed plan, the log or the model of its scores cannot be read, or the
        contacts were not drawn at random.
    """
    with open_store(store) as opened:
        plan = _closed(opened.engine, name)
        bundle = _bundle(opened.engine, plan)
    reading = reading.counting_days_of(bundle.clock.zone)
    with reading.open(command="plan learn") as log:
        names, X = features_before(log, plan.plan.as_of, bundle.models.catalog, plan.customer_id)
    return rank_plan(plan, names, X, depth=depth, worth=worth)


def _closed(engine: sa.Engine, name: str) -> ClosedPlan:
    state = PlanBook(engine).plan(name).state
    if state != "closed":
        raise PlanStateError(
            f"plan '{name}' is {state}; there is something to learn once it was read out after its "
            f"window: stagecast plan readout {name} EVENTS"
        )
    plans = closed_plans(engine, name)
    if not plans:
        raise PlanStateError(
            f"no outcome of plan '{name}' is stored any more; all its customers were erased"
        )
    return plans[0]


def _bundle(engine: sa.Engine, plan: ClosedPlan) -> Bundle:
    with engine.connect() as connection:
        path = connection.scalar(sa.select(runs.c.model_path).where(runs.c.id == plan.plan.run_id))
    try:
        return load_bundle(Path(path or ""))
    except StagecastError as error:
        raise UsageError(
            f"the model that the scores of plan '{plan.plan.name}' are of cannot be read, and it "
            f"says what the features are: {error}"
        ) from None
