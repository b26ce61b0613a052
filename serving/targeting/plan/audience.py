"""Whom a plan may be about: whether the names it filters by exist, and who passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stagecast.features.errors import did_you_mean
from stagecast.features.stages.plays import BANDS, STATES
from stagecast.serving.store.published_runs import Run
from stagecast.serving.targeting.plan.candidates import Candidates
from stagecast.serving.targeting.plan.errors import NameRefusedError
from stagecast.serving.targeting.plan.terms import Audience


def check_audience(audience: Audience, run: Run) -> None:
    """Check that the stages, plays, bands and states exist.

    Raises
    ------
    NameRefusedError
        One does not.
    """
    plays = [play["id"] for play in run.scheme.get("plays", ())]
    check_names(audience, run.stage_ids, plays, run.scheme_id)


def check_names(
    audience: Audience, stages: Sequence[str], plays: Sequence[str], scheme_id: str
) -> None:
    """Check that the stages, plays, bands and states of an audience exist in a scheme.

    Raises
    ------
    NameRefusedError
        One does not.
    """
    for kind, names, known in (
        ("stage", audience.stages, stages),
        ("play", audience.plays, plays),
        ("band", audience.bands, BANDS),
        ("state", audience.states, STATES),
    ):
        for name in names:
            if name not in known:
                listed = ", ".join(known) or f"none, since the scheme {scheme_id} has none"
                near = did_you_mean(name[:100], known)
                raise NameRefusedError(
                    f"there is no {kind} '{name[:100]}'.{near} The {kind}s are {listed}",
                    f"there is no such {kind}.{near} The {kind}s are {listed}",
                )


def passes(customers: Candidates, audience: Audience) -> NDArray[np.bool_]:
    """Return who passes the filters of an audience, shape (n,), as the store selects them."""
    mask = np.ones(len(customers), dtype=np.bool_)
    for values, names in (
        (customers.stage, audience.stages),
        (customers.play, audience.plays),
        (customers.churn_band, audience.bands),
        (customers.state, audience.states),
    ):
        if names:
            mask &= np.isin(values.astype(str), names)
    if audience.min_value is not None:
        mask &= customers.at_risk + customers.may_return >= audience.min_value
    if audience.ids is not None:
        wanted = frozenset(audience.ids)
        mask &= np.fromiter((id_ in wanted for id_ in customers.customer_id), np.bool_, len(mask))
    return mask
