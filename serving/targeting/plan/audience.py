"""Check that the names by which a plan filters exist in the scores."""

from __future__ import annotations

from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.stages.plays import BANDS, STATES
from stagecast.serving.store.store import Run
from stagecast.serving.targeting.plan.terms import Audience


def check_audience(audience: Audience, run: Run) -> None:
    """Check that the stages, plays, bands and states exist.

    Raises
    ------
    UsageError
        One does not.
    """
    plays = [play["id"] for play in run.scheme.get("plays", ())]
    for kind, names, known in (
        ("stage", audience.stages, run.stage_ids),
        ("play", audience.plays, plays),
        ("band", audience.bands, BANDS),
        ("state", audience.states, STATES),
    ):
        for name in names:
            if name not in known:
                listed = ", ".join(known) or f"none, since the scheme {run.scheme_id} has none"
                raise UsageError(
                    f"there is no {kind} '{name[:100]}'.{did_you_mean(name[:100], known)} The "
                    f"{kind}s are {listed}"
                )
