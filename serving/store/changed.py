"""Who changed since the run before: the customers that the overview of a run counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from stagecast.serving.store.tables import runs, scores

JUMP = 0.1
"""Rise of the churn probability from which a customer counts as jumped."""

CHANGES: Mapping[str, Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    "jumped": lambda now, before: now.churn_probability - before.churn_probability >= JUMP,
    "returned": lambda now, before: sa.and_(before.state == "lapsed", now.state == "active"),
    "other_stage": lambda now, before: now.stage != before.stage,
}
"""Name of a change -> its condition on the columns of a score and of the score before."""


def has_changed(name: str, run_id: int) -> sa.ColumnElement[bool]:
    """Return the condition on the table of scores that a customer changed since the run before.

    Parameters
    ----------
    name
        One of :data:`CHANGES`.
    run_id
        The run that is read. Without a run before, nobody passes.
    """
    before = scores.alias("before")
    return (
        sa.exists()
        .where(
            before.c.run_id == _earlier_run_id(run_id),
            before.c.customer_id == scores.c.customer_id,
            CHANGES[name](scores.c, before.c),
        )
        .correlate(scores)
    )


def _earlier_run_id(run_id: int) -> sa.ScalarSelect[int]:
    """Return what :func:`~stagecast.serving.store.earlier_run.earlier_run` finds, as SQL."""
    now, earlier = runs.alias("now_run"), runs.alias("earlier_run")
    return (
        sa.select(earlier.c.id)
        .select_from(now)
        .join(
            earlier,
            sa.and_(
                earlier.c.published_at.is_not(None),
                earlier.c.scheme_id == now.c.scheme_id,
                earlier.c.horizon_days == now.c.horizon_days,
                earlier.c.as_of < now.c.as_of,
            ),
        )
        .where(now.c.id == run_id)
        .order_by(earlier.c.as_of.desc(), earlier.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
