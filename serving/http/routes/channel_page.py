"""The page of channels: what the customers of the current run were first seen in."""

from __future__ import annotations

from typing import Annotated, Any

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

FIGURES = ("cac", "first_order", "year", "clv", "ltv_to_cac", "lost")
FEWEST_FOLDED = 4
"""Groups of which nothing is known yet are folded from this many on."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


Groups = list[dict[str, Any]]


def _by_size(groups: Groups) -> tuple[Groups, Groups]:
    """Return the groups of which a figure is known, and the others, where these are many."""
    small = [group for group in groups if not any(_is_known(group.get(name)) for name in FIGURES)]
    if len(small) < FEWEST_FOLDED or len(small) == len(groups):
        return groups, []
    return [group for group in groups if group not in small], small


def _is_known(figure: dict[str, Any] | None) -> bool:
    return figure is not None and not figure["too_few"]


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
    shown, small = _by_size([] if listed is None else listed["groups"])
    return render(
        "channels.html",
        **shop_of(run, request),
        groupings=groupings,
        by=by,
        listed=listed,
        shown_groups=shown,
        small_groups=small,
        notes=[] if listed is None else [n for n in listed["notes"] if n != FIRST_SEEN],
        curves=curves,
        has_cost=has_cost,
    )
