"""The stages of the scheme with their customers, and the flows between stages."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from stagecast.serving.http.entity_tags import tagged
from stagecast.serving.http.openapi import json_response, problem_responses
from stagecast.serving.http.state import PinnedRunDep, StoreDep
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.store import Store

router = APIRouter(prefix="/v1", tags=["stages"])


@router.get(
    "/stages",
    summary="The stages in order, with the customers on each and their value",
    responses={**json_response("StageList"), **problem_responses(304, 404, 422)},
)
def list_stages(request: Request, store: StoreDep, run: PinnedRunDep) -> Response:
    """List the stages of the scheme of the current run; titles, meanings and actions by
    language. `expected` is how many customers are expected on the stage at the end of the horizon:
    the sum of its probability over all customers, as they were when the run was published; null
    for runs of earlier versions.
    """
    return tagged(request, store, run, lambda: _stages(store, run))


def _stages(store: Store, run: Run) -> dict[str, Any]:
    totals = {total.stage: total for total in store.stages(run)}
    stages = [
        {
            **stage,
            "customers": totals[stage["id"]].customers,
            "value_at_risk": totals[stage["id"]].value_at_risk,
            "clv": totals[stage["id"]].clv,
            "expected": totals[stage["id"]].expected,
        }
        for stage in run.scheme["stages"]
    ]
    return {
        "as_of": run.as_of,
        "model_version": run.model_version,
        "scheme": run.scheme_id,
        "stages": stages,
    }


@router.get(
    "/stages/flows",
    summary="How customers moved between stages since the run before",
    responses={**json_response("StageFlowList"), **problem_responses(304, 404, 422)},
)
def list_flows(request: Request, store: StoreDep, run: PinnedRunDep) -> Response:
    """List who went from which stage to which between the two last published runs of the same
    scheme.

    `from_as_of` is null, and there are no flows, until a second run with a later `as_of` is
    published. Customers who had no score in the earlier run have `from_stage` null.
    """
    return tagged(request, store, run, lambda: _flows(store, run))


def _flows(store: Store, run: Run) -> dict[str, Any]:
    stage_flows = store.flows(run)
    totals: dict[str | None, int] = {}
    for from_stage, _, customers in stage_flows.flows:
        totals[from_stage] = totals.get(from_stage, 0) + customers
    flows = [
        {
            "from_stage": from_stage,
            "to_stage": to_stage,
            "customers": customers,
            "share": customers / totals[from_stage],
        }
        for from_stage, to_stage, customers in stage_flows.flows
    ]
    return {
        "from_as_of": stage_flows.earlier_as_of,
        "to_as_of": run.as_of,
        "scheme": run.scheme_id,
        "flows": flows,
    }
