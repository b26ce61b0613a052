"""Totals of the published list: those of any filter, and those of each play."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from stagecast.serving.http.entity_tags import tagged
from stagecast.serving.http.lists import ApiFilterQuery
from stagecast.serving.http.openapi import json_response, problem_responses
from stagecast.serving.http.state import PinnedRunDep, StoreDep, run_of
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.store import Store

router = APIRouter(prefix="/v1", tags=["customers"])


@router.get(
    "/totals",
    summary="How many published customers pass filters, and the sums of their money",
    responses={**json_response("Totals"), **problem_responses(304, 404, 422)},
)
def list_totals(
    request: Request, query: Annotated[ApiFilterQuery, Query()], store: StoreDep
) -> Response:
    """Count the customers of the current run that pass the filters of `GET /v1/customers`, and add
    up their value at risk, value gone, what may return of it (`win_back`), value to come and spend.
    A sum is null where no customer has a value.
    """
    run = run_of(store, query.run)

    def answer() -> dict[str, Any]:
        return {"as_of": run.as_of, **vars(store.totals(run, query.filters(run)))}

    return tagged(request, store, run, answer)


@router.get(
    "/views",
    summary="The plays of the scheme with their customers and their money",
    responses={**json_response("ViewList"), **problem_responses(304, 404)},
)
def list_views(request: Request, store: StoreDep, run: PinnedRunDep) -> Response:
    """List the plays that customers of the current run have, those with the most money first.

    `GET /v1/customers?play=ID` lists the customers of one. `value_at_risk` is what is expected to
    be lost with the active among them, `win_back` what may return of the lapsed: their value gone
    times the chance to return. `stake` is value at risk and value gone of all of them, of which
    most is gone for good. `new` are those who had another play, or none, in the run before.
    """

    def answer() -> dict[str, Any]:
        return {"as_of": run.as_of, "views": views(store, run)}

    return tagged(request, store, run, answer)


@router.get(
    "/value-grid",
    summary="The active customers by churn band and class of value, with the play of each cell",
    responses={**json_response("ValueGrid"), **problem_responses(304, 404)},
)
def value_grid(request: Request, store: StoreDep, run: PinnedRunDep) -> Response:
    """Count the active customers of the current run by churn band and class of value: the fifth
    with the highest clv (`value_class` 0), the rest of the upper half (1) and the lower half (2).

    `GET /v1/customers?churn_band=&clv_above=&clv_at_most=` with what a cell says lists its
    customers. `play` is the most frequent play among them, which `play_customers` of them have;
    null: no play is the most frequent. Cells of a run that an earlier version published say neither
    of these nor their limits.
    """

    def answer() -> dict[str, Any]:
        return {"as_of": run.as_of, "cells": store.overview(run)["grid"]}

    return tagged(request, store, run, answer)


def views(store: Store, run: Run) -> list[dict[str, Any]]:
    """Return what the API lists of a run."""
    known = {play["id"]: play for play in run.scheme.get("plays", ())}
    return [
        {
            "id": part["play"],
            "title": known[part["play"]]["title"],
            "contact": known[part["play"]].get("contact", True),
            **{name: part[name] for name in ("customers", "value_at_risk", "stake", "new")},
            "win_back": part["may_return"],
        }
        for part in store.overview(run)["plays"]
        if part["play"] in known
    ]
