"""``plan``: whom to contact under a budget, with a random hold-out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from stagecast.features.arguments.values import flag, number, share, texts, whole_number
from stagecast.features.clock import to_utc
from stagecast.features.frames.instants import Instant, Span, as_datetime, as_days
from stagecast.features.intake.reasons import LARGEST_AMOUNT
from stagecast.serving.python.customer_ids import GivenIds, given_ids
from stagecast.serving.python.plan import Plan
from stagecast.serving.python.plan_scores import candidates_of, scheme_of_scores, scores_frame
from stagecast.serving.python.words import speaks_python


@speaks_python
def plan(
    scores: object,
    *,
    budget: float | None = None,
    contacts: int | None = None,
    contact_cost: float | None = None,
    offer_cost: float | None = None,
    offer_share: float | str | None = None,
    holdout: float | str = 0.1,
    effect: float | str | None = None,
    win_back_effect: float | str | None = None,
    stage: str | Sequence[str] | None = (),
    play: str | Sequence[str] | None = (),
    band: str | Sequence[str] | None = (),
    state: str | Sequence[str] | None = (),
    ids: Iterable[object] | str | int | None = None,
    min_value: float | None = None,
    min_gain: float = 0.0,
    do_not_contact: Iterable[object] | str | int | None = (),
    start: Instant | None = None,
    window: Span | None = None,
    worth: float | None = None,
    standing: bool = False,
    seed: int = 0,
    scheme: str | Path | None = None,
) -> Plan:
    """Return whom to contact, so that what is expected to come back is largest.

    The keywords are the options of ``stagecast plan``; nothing is stored.

    Parameters
    ----------
    scores
        What :meth:`Lifecycle.score` returns, or a file of ``stagecast score`` as a table of pandas,
        polars or Arrow.
    budget, contacts
        Most that the contacts may cost, and most customers; None: no such limit.
    contact_cost, offer_cost, offer_share
        Of each contact; paid to each contacted customer who orders; the same as a share of the
        order.
    holdout
        Share of the list that is drawn at random and left alone, 0.1 or ``10%``, as of all shares.
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
        The table has no scores, a name does not exist, the ``ids`` are empty or none of them is a
        customer, a limit cannot be met, or an argument cannot be used.

    Warns
    -----
    UserWarning
        Some of ``ids`` or ``do_not_contact`` are no customers of the scores; the notes of the plan
        say it, too.
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

    table = scores_frame(scores)
    scored = candidates_of(table)
    known = frozenset(scored.customers.customer_id)
    only = None if ids is None else given_ids(ids, "ids", known, "are left out")
    refused = given_ids(
        () if do_not_contact is None else do_not_contact, "do_not_contact", known, "exclude nobody"
    )
    terms = Terms(
        Audience(
            stages=texts(stage, "stage", "names, like ['loyal']"),
            plays=texts(play, "play", "names, like ['loyal_going_quiet']"),
            bands=texts(band, "band", "names, like ['high']"),
            states=texts(state, "state", "names, like ['active']"),
            min_value=_money(min_value, "min_value", least=-LARGEST_AMOUNT),
            ids=None if only is None else only.ids,
        ),
        Costs(
            _money(contact_cost, "contact_cost"),
            _money(offer_cost, "offer_cost"),
            _share(offer_share, "offer_share"),
        ),
        Effects(_share(effect, "effect"), _share(win_back_effect, "win_back_effect")),
        Rules(min_gain=_money(min_gain, "min_gain") or 0.0),
        contacts=_customers(contacts),
        budget=_money(budget, "budget"),
        holdout=share(holdout, "holdout", below=1.0),
        standing=flag(standing, "standing"),
        seed=whole_number(seed, "seed", "a whole number, 0 or more"),
        window_days=None if window is None else as_days(window, "window"),
        worth=_money(worth, "worth"),
    )
    of_scores = scheme_of_scores(table, scheme)
    check_names(terms.audience, of_scores.ids, [play.id for play in of_scores.plays], of_scores.id)
    starts_at = None if start is None else _instant(start)
    starts = check_start(starts_at, scored.as_of, scored.horizon_days)
    proposal = propose(
        scored.customers.take(passes(scored.customers, terms.audience)),
        of_scores.plays,
        terms,
        Reach(do_not_contact=frozenset(refused.ids)),
        horizon_days=scored.horizon_days,
        contracts=scored.churn == "cancellation",
        standing_key=f"standing hold-out {seed}",
    )
    rows = [{**row, "confirmed_at": None} for row in member_rows(0, proposal.members)]
    days = proposal.forecast.window_days
    unknown = (*(only or GivenIds(())).notes, *refused.notes)
    return Plan(rows, starts, days, scored.churn, proposal.forecast, unknown)


def _money(value: Any, name: str, *, least: float = 0.0) -> float | None:
    give = f"money, a number from {least:g} to {LARGEST_AMOUNT:g}, like 100"
    return None if value is None else number(value, name, give, least=least, most=LARGEST_AMOUNT)


def _share(value: Any, name: str) -> float | None:
    return None if value is None else share(value, name)


def _customers(value: Any) -> int | None:
    give = "a number of customers, 1 or more, like 50"
    return None if value is None else whole_number(value, "contacts", give, least=1)


def _instant(value: Instant) -> datetime:
    """Return an instant; a time without a zone is UTC, since scores do not say their zone."""
    return to_utc(as_datetime(value, "start"))
