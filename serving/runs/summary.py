"""What a run has to say, as JSON-ready values: read by the report, the bundle's card, ``--json``
and the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stagecast.features.clock import iso
from stagecast.features.stages.scheme_files import scheme_to_json
from stagecast.training.bundle import Bundle
from stagecast.training.churn_kinds import kind_of
from stagecast.training.train import Training


def card(training: Training) -> dict[str, Any]:
    """Return what people read of a training: its evaluation, what it learned from, and what
    could not be done.
    """
    models, kind = training.models, kind_of(training.models.config.churn)
    dates = kind.training_dates(training.panel, models)
    return {
        "evaluation": training.evaluation,
        "blend": {**kind.pool_card(models), "dates": dates},
        "notes": list(training.notes),
    }


def summary(
    bundle: Bundle, data_report: Mapping[str, Any], next_steps: Sequence[str]
) -> dict[str, Any]:
    """Return the summary of a run; its keys are those that
    :func:`stagecast.serving.reports.run_report.render_report` reads.
    """
    models = bundle.models
    kind, scheme = kind_of(models.config.churn), scheme_to_json(models.scheme)
    method = kind.method(models)
    return {
        "title": "stagecast report",
        "as_of": iso(bundle.as_of),
        "horizon_days": models.config.horizon_days,
        "value_horizon_days": models.config.value_horizon_days,
        "data_cutoff": iso(bundle.data_cutoff),
        "model_version": bundle.model_version,
        "method": method,
        "method_note": kind.wording.methods[method],
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
