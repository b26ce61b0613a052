"""The page of trust: how true earlier scores were, and what the present ones rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from stagecast.serving.http.languages import display_of
from stagecast.serving.http.lists import BANDS
from stagecast.serving.http.page_texts import shop_of, store_name, titles_of
from stagecast.serving.http.routes.trust import trust_of
from stagecast.serving.http.state import StateDep, StoreDep
from stagecast.serving.reports.quality import quality
from stagecast.serving.reports.rendering import render
from stagecast.serving.store.changes import INACTIVITY

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/trust")
def trust_page(request: Request, store: StoreDep, state: StateDep) -> HTMLResponse:
    """Show what was said and what came, the grade of the model, and what was read of the log."""
    run = store.current_run()
    if run is None:
        return render(
            "empty.html", **shop_of(None, request), store=store_name(state.settings.store)
        )
    trust = trust_of(store, run)
    card = trust["card"] or {}
    evaluation = card.get("evaluation") or None
    return render(
        "trust.html",
        **shop_of(run, request),
        titles=titles_of(run.scheme, display_of(request).language),
        held=trust,
        settled=trust["settled"][0] if trust["settled"] else None,
        bands=list(reversed(BANDS)),
        evaluation=evaluation,
        quality=None
        if evaluation is None
        else quality(evaluation, run.currency, display_of(request)),
        blend=card.get("blend") or {},
        kind=card.get("churn") or INACTIVITY,
        notes=_notes(card),
    )


def _notes(card: Mapping[str, Any]) -> list[str]:
    notes = [*(card.get("notes") or ())]
    return [card["horizon_note"], *notes] if card.get("horizon_note") else notes
