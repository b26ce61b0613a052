"""What ``check`` finds in a log and a run should say, too: first what changes numbers."""

from __future__ import annotations

from stagecast.features.describe.quality import Quality

CHANGES_NUMBERS = ("placeholder", "far", "twice")
"""Kinds of odd days with rows that are counted and should probably not be, or stand elsewhere."""
MOST_FINDINGS = 6


def findings(quality: Quality) -> tuple[str, ...]:
    """Return the findings as sentences, at most ``MOST_FINDINGS`` and one that counts the others.

    Customers with far too many events and days whose rows are doubtful come first, since they
    change numbers; then stretches without events and days that merely stand out.

    Parameters
    ----------
    quality
        Description of the log.
    """
    buyers = quality.buyers
    heavy = [
        f"customer {customer.customer_id} has {customer.events:,} events, 99 % of the customers "
        f"at most {buyers.events_99:,}: a till, a test account or an agency?"
        for customer in buyers.heavy
    ]
    days = {
        doubtful: [
            f"{odd.day}: {odd.why}"
            for odd in quality.odd_days
            if (odd.kind in CHANGES_NUMBERS) == doubtful
        ]
        for doubtful in (True, False)
    }
    gaps = [f"no events: {gap.line()}" for gap in quality.gaps]
    every = [*heavy, *days[True], *gaps, *days[False]]
    if len(every) <= MOST_FINDINGS:
        return tuple(every)
    others = len(every) - MOST_FINDINGS
    return (
        *every[:MOST_FINDINGS],
        f"{others} more {'finding' if others == 1 else 'findings'} in data-report.json",
    )
