"""The page of channels: what the customers of the current run were first seen in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse

from stagecast.features.describe.channels.table import FIRST_SEEN
from stagecast.serving.http.page_texts import shop_of, store_name
from stagecast.serving.http.routes.channels import channel_list
from stagecast.serving.http.state import StateDep, StoreDep
from stagecast.serving.reports.curves import drawing
from stagecast.serving.reports.rendering import render
from stagecast.serving.store.channels import stored_channels

MOST_CURVES = 6
"""Groups whose curves are drawn: those with most customers."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/channels")
def channels_page(
    request: Request,
    store: StoreDep,
    state: StateDep,
    by: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    """Show cost, value, payback and share lost by what customers were first seen in."""
    run = store.current_run()
    if run is None:
        return render(
            "empty.html", **shop_of(None, request), store=store_name(state.settings.store)
        )
    groupings = list(stored_channels(store.engine, run.id))
    if by is None and groupings:
        by = "channel" if "channel" in groupings else groupings[0]
    listed = None if by is None else channel_list(store, run, by)
    curves, has_cost = [], False
    if listed is not None:
        with_curve = [group for group in listed["groups"] if group.get("earned")]
        curves = drawing(with_curve[:MOST_CURVES])
        has_cost = any(group["cost"] is not None for group in listed["groups"])
    return render(
        "channels.html",
        **shop_of(run, request),
        groupings=groupings,
        by=by,
        listed=listed,
        notes=[] if listed is None else [n for n in listed["notes"] if n != FIRST_SEEN],
        curves=curves,
        has_cost=has_cost,
    )
