"""The published customers by what they were first seen in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from stagecast.features.errors import did_you_mean
from stagecast.serving.http.openapi import json_response, problem_responses
from stagecast.serving.http.problems import ProblemError
from stagecast.serving.http.state import RunDep, StoreDep
from stagecast.serving.store.channels import stored_channels
from stagecast.serving.store.kept_costs import kept_costs
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.store import Store

HOW_TO_STORE = "stagecast channels EVENTS --model MODEL --spend FILE --publish"

router = APIRouter(prefix="/v1", tags=["channels"])


@router.get(
    "/channels",
    summary="Customers by the channel or attribute they were first seen in",
    responses={**json_response("ChannelList"), **problem_responses(404)},
)
def list_channels(
    store: StoreDep, run: RunDep, by: Annotated[str, Query(max_length=200)] = "channel"
) -> dict[str, Any]:
    """List the customers of the current run by what they were first seen in, with cost, value,
    payback and share lost, and what a kept customer cost in the plans that are over.

    A figure whose `too_few` is true has no value: `needed` customers would be enough. What a
    customer was first seen in need not have brought the customer.
    """
    return channel_list(store, run, by)


def channel_list(store: Store, run: Run, by: str) -> dict[str, Any]:
    """Return what the API answers about one grouping of the customers of a run.

    Raises
    ------
    ProblemError
        404: nothing is stored of it.
    """
    stored = stored_channels(store.engine, run.id)
    if by not in stored:
        others = f" Stored are: {', '.join(stored)}." if stored else ""
        raise ProblemError(
            404,
            "no-channels",
            "nothing is stored of customers by this at the current as_of."
            f"{did_you_mean(by, stored)}{others} Store it with: {HOW_TO_STORE}",
        )
    keeping = [cost.to_json() for cost in kept_costs(store.engine)]
    return {
        **stored[by],
        "as_of": run.as_of,
        "model_version": run.model_version,
        "keeping": keeping,
    }
