"""What a run has to say, as JSON-ready values: read by the report, the bundle's card, ``--json``
and the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stagecast.features.clock import DAY, iso
from stagecast.features.stages.scheme_files import scheme_to_json
from stagecast.training.bundle import Bundle
from stagecast.training.cancellation.landmarks import shares_cancelled
from stagecast.training.train import Training

METHODS = {
    "inactivity": {
        "blend": (
            "customer-base models, two regressions and LightGBM, pooled on what they had not seen"
        ),
        "btyd": "customer-base models alone: too little to learn more from",
        "rule": "read off the shop's own gaps between purchases: too little for a model",
    },
    "cancellation": {
        "blend": (
            "the hazard by age of a contract, a regression and LightGBM on it, "
            "pooled on a later window"
        ),
        "rule": (
            "the share of contracts that were cancelled, by age where enough were: "
            "too little to learn more"
        ),
    },
}


def card(training: Training) -> dict[str, Any]:
    """Return what people read of a training: its evaluation, what it learned from, and what
    could not be done.
    """
    models = training.models
    churn = models.churn if models.cancellation is None else None
    return {
        "evaluation": training.evaluation,
        "blend": {
            "weights": dict(models.weights),
            "level": None if churn is None else churn.level,
            "drawn": None if churn is None else churn.drawn,
            "weighed_by": models.weighed_by,
            "dates": _dates(training),
        },
        "notes": list(training.notes),
    }


def _dates(training: Training) -> list[dict[str, Any]]:
    """Return the past dates that were learned from, newest first: how many could leave, and the
    share that did.
    """
    contracts, horizon_days = training.panel.contracts, training.models.config.horizon_days
    if contracts is not None:
        return [
            {"as_of": iso(training.panel.as_of - back * DAY), "customers": count, "inactive": share}
            for back, count, share in shares_cancelled(
                contracts.spells, contracts.landmarks, horizon_days
            )
        ]
    return [
        {
            "as_of": iso(f.as_of),
            "customers": len(f),
            "inactive": float(f.inactive.mean()) if len(f) else None,
        }
        for f in training.panel.dates
    ]


def summary(
    bundle: Bundle, data_report: Mapping[str, Any], next_steps: Sequence[str]
) -> dict[str, Any]:
    """Return the summary of a run; its keys are those that
    :func:`stagecast.serving.reports.run_report.render_report` reads.
    """
    models = bundle.models
    scheme = scheme_to_json(models.scheme)
    return {
        "title": "stagecast report",
        "as_of": iso(bundle.as_of),
        "horizon_days": models.config.horizon_days,
        "value_horizon_days": models.config.value_horizon_days,
        "data_cutoff": iso(bundle.data_cutoff),
        "model_version": bundle.model_version,
        "method": models.method,
        "method_note": METHODS[models.config.churn][models.method],
        "churn": models.config.churn,
        "log": dict(data_report),
        "scheme": {
            "id": scheme["id"],
            "title": scheme["title"],
            "stages": scheme["stage"],
            "thresholds": scheme["thresholds"],
        },
        "evaluation": bundle.card.get("evaluation"),
        "blend": bundle.card.get("blend"),
        "notes": bundle.card.get("notes", []),
        "next_steps": list(next_steps),
    }


def most_at_risk(scores: pa.Table, count: int) -> list[dict[str, Any]]:
    """Return the rows with the most value at risk; by churn probability in a log without
    amounts.
    """
    at_stake = scores.filter(pc.is_valid(scores["churn_probability"]))
    key = (
        "value_at_risk"
        if at_stake["value_at_risk"].null_count < len(at_stake)
        else "churn_probability"
    )
    order = pc.sort_indices(at_stake, [(key, "descending"), ("customer_id", "ascending")])
    rows: list[dict[str, Any]] = at_stake.take(order[:count]).to_pylist()
    return rows
