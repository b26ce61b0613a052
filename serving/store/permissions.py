"""Whether customers may be contacted: flags of the profiles, written at each publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from stagecast.serving.store.profile_columns import Values, merge_profiles

REFUSALS: Mapping[str, bool] = {"consent": False, "do_not_contact": True}
"""Column -> the value with which a customer refuses to be contacted."""


def put_permissions(engine: sa.Engine, flagged: Sequence[tuple[str, Values]]) -> None:
    """Write flags into the profiles; what else is known of the customers stays.

    A flag is written where the profile has none, or where it is a refusal: what customers were
    once known to refuse is not taken back by a table that does not know of it, only by a profile
    that is loaded.

    Parameters
    ----------
    flagged
        Id of each customer, each once, and the columns of :data:`REFUSALS`.
    """
    merge_profiles(engine, flagged, tuple(REFUSALS), _with_refusals)


def _with_refusals(known: Values, stated: Values) -> Values:
    return {
        name: stated[name] if known[name] is None or stated[name] is refusal else known[name]
        for name, refusal in REFUSALS.items()
    }
