"""What a run holds of a training or a backtest: parameters, metrics and tags, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stagecast.features.clock import iso, parse_instant
from stagecast.training.bundle import Bundle
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import TrainConfig
from stagecast.training.judging.evaluation_result import OURS
from stagecast.training.tracking.run_contents import DatedMetric, RunContents

GROUPS = (("", "models"), ("next_stage_", "next_stage"), ("spend_", "spend"))
"""Prefix of the metrics -> part of an evaluation that has a row for each method."""


def training_contents(bundle: Bundle) -> RunContents:
    """Return what the run of a training holds, and the tags of the version it registers."""
    grade = str((bundle.card.get("evaluation") or {}).get("grade"))
    return RunContents(
        name=f"{iso(bundle.as_of)} {bundle.model_version}",
        tags={"stagecast": "training"} | training_tags(bundle),
        parameters={name: str(value) for name, value in training_parameters(bundle).items()},
        metrics=training_metrics(bundle.card),
        version_tags={
            "model_version": bundle.model_version,
            "as_of": iso(bundle.as_of),
            "data_cutoff": iso(bundle.data_cutoff),
            "grade": grade,
        },
    )


def backtest_contents(backtest: Mapping[str, Any], parameters: Mapping[str, Any]) -> RunContents:
    """Return what the run of a backtest holds, with a nested run for each date.

    Parameters
    ----------
    backtest
        Contents of ``backtest.json``.
    parameters
        Settings of the backtest by name.
    """
    dates = date_metrics(backtest)
    return RunContents(
        name=f"backtest {backtest['as_of']}",
        tags={
            "stagecast": "backtest",
            "grade": str(backtest["grade"]),
            "grade_sentence": str(backtest["grade_sentence"]),
        },
        parameters={name: str(value) for name, value in parameters.items()},
        metrics=[metric for _, metrics in dates for metric in metrics],
        overall=backtest_metrics(backtest),
        dates=dates,
    )


def settings_of(config: TrainConfig) -> dict[str, Any]:
    """Return the settings of a training by name."""
    return asdict(config)


def training_parameters(bundle: Bundle) -> dict[str, Any]:
    """Return settings, thresholds and weights of a training by name."""
    kind = kind_of(bundle.models.config.churn)
    weights = kind.pool_card(bundle.models).weights
    return {
        **settings_of(bundle.models.config),
        "as_of": iso(bundle.as_of),
        "data_cutoff": iso(bundle.data_cutoff),
        "model_version": bundle.model_version,
        "method": kind.method(bundle.models),
        **{f"threshold_{name}": value for name, value in bundle.models.scheme.thresholds.items()},
        **{f"weight_{name}": value for name, value in weights.items()},
    }


def training_metrics(card: Mapping[str, Any]) -> list[DatedMetric]:
    """Return the figures of the evaluation in a card, each at the date whose outcomes gave it.

    Those of a baseline start with its name, those of the active customers with ``active_``.
    """
    evaluation = card.get("evaluation")
    if not evaluation:
        return []
    figures: dict[str, float] = {
        "base_rate": evaluation["base_rate"],
        "customers": evaluation["customers"],
    }
    for prefix, group in GROUPS:
        figures |= _of_methods(prefix, evaluation[group])
    active = evaluation.get("active")
    if active:
        figures |= {f"active_{k}": active[k] for k in ("customers", "base_rate")}
        figures |= _of_methods("active_", active["models"])
    figures |= _coverage("spend_coverage", (evaluation["coverage"] or {}).get("expected_spend"))
    figures |= _numbers("conversion_", evaluation["conversion"])
    value = evaluation.get("value")
    of_value: dict[str, float] = {}
    if value:
        of_value = _of_methods("value_", value["models"])
        of_value |= _coverage("value_coverage", value["coverage"])
    return [
        *_at(figures, evaluation["as_of"], 1 if value else 0),
        *(_at(of_value, value["as_of"], 0) if value else ()),
    ]


def training_tags(bundle: Bundle) -> dict[str, str]:
    """Return the grades, with their sentences, and what a reader must know first."""
    evaluation = bundle.card.get("evaluation") or {}
    value = evaluation.get("value") or {}
    tags = {
        "model_version": bundle.model_version,
        "grade": evaluation.get("grade"),
        "grade_sentence": evaluation.get("grade_sentence"),
        "value_grade": value.get("grade"),
        "value_grade_sentence": value.get("grade_sentence"),
        "horizon_note": bundle.card.get("horizon_note"),
    }
    return {name: str(text) for name, text in tags.items() if text}


def backtest_metrics(backtest: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of a backtest over all of its dates, from its JSON."""
    figures = {"customers": backtest["customers"], "rows": backtest["rows"]}
    figures |= _of_methods("", backtest["models"]) | _of_methods("spend_", backtest["spend"])
    for prefix, differences in (("", backtest["against"]), ("spend_", backtest["spend_against"])):
        for row in differences:
            figures |= {
                f"{prefix}against_{row['name']}_{end}": row[end]
                for end in ("difference", "low", "high")
                if row[end] is not None
            }
    figures |= _coverage("spend_coverage", (backtest["coverage"] or {}).get("expected_spend"))
    if backtest.get("value"):
        figures |= _of_methods("value_", backtest["value"]["models"])
        figures |= _coverage("value_coverage", backtest["value"]["coverage"])
    return figures


def date_metrics(backtest: Mapping[str, Any]) -> list[tuple[str, list[DatedMetric]]]:
    """Return each date of a backtest with its figures, oldest first."""
    dates = []
    for step, row in enumerate(backtest["dates"]):
        figures = {"customers": row["customers"], "base_rate": row["base_rate"]}
        for name in ("log_loss", "auc", "calibration_error"):
            for method, value in row[name].items():
                if value is not None:
                    figures[f"{'' if method == OURS else f'{method}_'}{name}"] = value
        figures |= _of_methods("next_stage_", row["next_stage"])
        for method, values in (row.get("spend") or {}).items():  # the money of a date is flat
            figures |= _numbers(f"{'' if method == OURS else f'{method}_'}spend_", values)
        dates.append((str(row["as_of"]), list(_at(figures, row["as_of"], step))))
    return dates


def _of_methods(prefix: str, rows: Sequence[Mapping[str, Any]] | None) -> dict[str, float]:
    figures: dict[str, float] = {}
    for row in rows or ():
        method = "" if row["name"] == OURS else f"{row['name']}_"
        figures |= _numbers(f"{method}{prefix}", row)
    return figures


def _numbers(prefix: str, row: Mapping[str, Any] | None) -> dict[str, float]:
    return {
        f"{prefix}{k}": float(v)
        for k, v in (row or {}).items()
        if isinstance(v, int | float) and not isinstance(v, bool)
    }


def _coverage(name: str, share: float | None) -> dict[str, float]:
    return {} if share is None else {name: share}


def _at(figures: Mapping[str, float], as_of: str, step: int) -> Iterable[DatedMetric]:
    at = parse_instant(as_of)
    return [DatedMetric(name, float(value), at, step) for name, value in figures.items()]
