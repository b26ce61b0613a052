"""The stages of the scheme with their customers, and the flows between stages."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from stagecast.serving.http.openapi import json_response, problem_responses
from stagecast.serving.http.state import RunDep, StoreDep

router = APIRouter(prefix="/v1", tags=["stages"])


@router.get(
    "/stages",
    summary="The stages in order, with the customers on each and their value",
    responses={**json_response("StageList"), **problem_responses(404)},
)
def list_stages(store: StoreDep, run: RunDep) -> dict[str, Any]:
    """List the stages of the scheme of the current run; titles, meanings and actions by
    language.
    """
    totals = {total.stage: total for total in store.stages(run)}
    stages = [
        {
            **stage,
            "customers": totals[stage["id"]].customers,
            "value_at_risk": totals[stage["id"]].value_at_risk,
            "clv": totals[stage["id"]].clv,
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
    responses={**json_response("StageFlowList"), **problem_responses(404)},
)
def list_flows(store: StoreDep, run: RunDep) -> dict[str, Any]:
    """List who went from which stage to which between the two last published runs of the same
    scheme.

    `from_as_of` is null, and there are no flows, until a second run with a later `as_of` is
    published. Customers who had no score in the earlier run have `from_stage` null.
    """
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
