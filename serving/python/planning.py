"""``plan``: whom to contact under a budget, with a random hold-out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from stagecast.features.clock import to_utc
from stagecast.features.frames.instants import Instant, Span, as_datetime, as_days
from stagecast.serving.python.customer_ids import known_ids
from stagecast.serving.python.plan import Plan
from stagecast.serving.python.plan_scores import candidates_of, scheme_of_scores
from stagecast.serving.python.words import speaks_python

if TYPE_CHECKING:
    import pandas as pd


@speaks_python
def plan(
    scores: pd.DataFrame,
    *,
    budget: float | None = None,
    contacts: int | None = None,
    contact_cost: float | None = None,
    offer_cost: float | None = None,
    offer_share: float | None = None,
    holdout: float = 0.1,
    effect: float | None = None,
    win_back_effect: float | None = None,
    stage: str | Sequence[str] = (),
    play: str | Sequence[str] = (),
    band: str | Sequence[str] = (),
    state: str | Sequence[str] = (),
    ids: Iterable[object] | None = None,
    min_value: float | None = None,
    min_gain: float = 0.0,
    do_not_contact: Iterable[object] = (),
    start: Instant | None = None,
    window: Span | None = None,
    worth: float | None = None,
    standing: bool = False,
    seed: int = 0,
    scheme: str | None = None,
) -> Plan:
    """Return whom to contact, so that what is expected to come back is largest.

    The keywords are the options of ``stagecast plan``; nothing is stored.

    Parameters
    ----------
    scores
        What :meth:`Lifecycle.score` returns, or a file of ``stagecast score`` as a DataFrame.
    budget, contacts
        Most that the contacts may cost, and most customers; None: no such limit.
    contact_cost, offer_cost, offer_share
        Of each contact; paid to each contacted customer who orders; the same as a share of the
        order.
    holdout
        Share of the list that is drawn at random and left alone.
    effect, win_back_effect
        Share of the value at risk that a contact saves, and of the value gone that it brings back;
        None: of the play, or 5 % and 2 %.
    stage, play, band, state, ids, min_value
        Only these customers. Ids are texts, whole numbers (also as floats, which is what pandas
        makes of a column with gaps), or a table with the column ``customer_id``.
    min_gain
        Least expected gain of a contact, in money.
    do_not_contact
        Ids of customers who are left out.
    start, window
        When orders begin to count, and for how long; None: the as_of of the scores, and the days of
        the one play or the horizon.
    worth
        What a customer who is kept brings, where the scores have no money.
    standing
        Hold out the same customers in every plan with this ``seed``.
    scheme
        Scheme of the scores, whose plays say what costs and effects are; None: the scheme of the
        package that has these stages.

    Raises
    ------
    UsageError
        The table has no scores, a name does not exist, none of the ``ids`` is a customer, a limit
        cannot be met, or an argument cannot be used.

    Warns
    -----
    UserWarning
        None of the ids of ``do_not_contact`` is a customer of the scores.
    """
    from stagecast.serving.targeting.plan.audience import check_names, passes
    from stagecast.serving.targeting.plan.member_rows import member_rows
    from stagecast.serving.targeting.plan.proposal import propose
    from stagecast.serving.targeting.plan.suppression import Reach
    from stagecast.serving.targeting.plan.terms import (
        Audience,
        Costs,
        Effects,
        Rules,
        Terms,
        check_start,
    )

    scored = candidates_of(scores)
    known = frozenset(scored.customers.customer_id)
    only = None if ids is None else known_ids(ids, "ids", known)
    refused = known_ids(do_not_contact, "do_not_contact", known)
    terms = Terms(
        Audience(
            stages=_names(stage),
            plays=_names(play),
            bands=_names(band),
            states=_names(state),
            min_value=min_value,
            ids=only,
        ),
        Costs(contact_cost, offer_cost, offer_share),
        Effects(effect, win_back_effect),
        Rules(min_gain=min_gain),
        contacts=contacts,
        budget=budget,
        holdout=holdout,
        standing=standing,
        seed=seed,
        window_days=None if window is None else as_days(window, "window"),
        worth=worth,
    )
    of_scores = scheme_of_scores(scores, scheme)
    check_names(terms.audience, of_scores.ids, [play.id for play in of_scores.plays], of_scores.id)
    starts_at = None if start is None else _instant(start)
    starts = check_start(starts_at, scored.as_of, scored.horizon_days)
    proposal = propose(
        scored.customers.take(passes(scored.customers, terms.audience)),
        of_scores.plays,
        terms,
        Reach(do_not_contact=frozenset(refused)),
        horizon_days=scored.horizon_days,
        contracts=scored.churn == "cancellation",
        standing_key=f"standing hold-out {seed}",
    )
    rows = [{**row, "confirmed_at": None} for row in member_rows(0, proposal.members)]
    return Plan(rows, starts, proposal.forecast.window_days, scored.churn, proposal.forecast)


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _instant(value: Instant) -> datetime:
    """Return an instant; a time without a zone is UTC, since scores do not say their zone."""
    return to_utc(as_datetime(value, "start"))
