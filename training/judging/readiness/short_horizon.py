"""Whether a horizon is long enough for the shop's usual gap: the sentence that says it."""

from __future__ import annotations

from stagecast.training.judging.readiness.counting import EVALUATION_HORIZONS, WEEK

# In a shorter horizon, in usual gaps, few of the customers who stay buy again.
GAPS_IN_HORIZON = 2
# Of customers who keep to their gap a fifth or more buy later where it is as many horizons long.
MANY_BUY_LATER = 1.25


def short_horizon_notes(
    gap_days: float | None, horizon_days: int, history_days: float
) -> tuple[str, ...]:
    """Return a note where the horizon is short compared with the usual gap between purchases.

    Parameters
    ----------
    gap_days
        The usual gap between purchase days of a customer; None: not known.
    horizon_days
        Days that probabilities look ahead.
    history_days
        Days from the first event to the as_of.

    >>> short_horizon_notes(45.0, 30, 1000.0)[0]  # doctest: +ELLIPSIS
    'the usual gap ... is 45 days, more than the horizon of 30: ...; --horizon 91d would hold two'
    """
    if gap_days is None or horizon_days >= GAPS_IN_HORIZON * gap_days:
        return ()
    # a gap of 30.4 days is not told as 30, more than the horizon of 30
    gap = f"{gap_days:.1f}" if round(gap_days) in (horizon_days, horizon_days / 2) else None
    usual = f"the usual gap between purchase days of a customer is {gap or f'{gap_days:.0f}'} days"
    wanted = -int(-GAPS_IN_HORIZON * gap_days // WEEK) * WEEK
    longest = int(history_days // EVALUATION_HORIZONS)
    advice = (
        f"--horizon {wanted}d would hold two"
        if wanted <= longest
        else f"two need {wanted} days, and this history can be evaluated up to --horizon {longest}d"
    )
    than = "the horizon" if gap_days > horizon_days else "half the horizon"
    many = gap_days > MANY_BUY_LATER * horizon_days
    so = "many who stay will not buy within it" if many else "some who stay buy later"
    return (f"{usual}, more than {than} of {horizon_days}: {so}; {advice}",)
