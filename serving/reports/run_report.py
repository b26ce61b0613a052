"""The report of a run: one HTML file for whoever plans the campaign and whoever answers for the
model.

    scores + summary -> figures (NumPy, a few hundred numbers) -> charts -> report.html

What grows with the number of customers is summed up here; the file holds the twenty customers to
look at first and nothing of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.serving.reports import charts
from stagecast.serving.reports.comparison import CHURN, SPEND, comparison, finite
from stagecast.serving.reports.lifecycle_report import inks
from stagecast.serving.reports.rendering import FOLDER, environment

Codes = NDArray[np.int64]

FIRST_CUSTOMERS = 20
BINS = 20
HELD_SHARE = 0.8
CURVE_POINTS = 100


def write_report(
    path: str | Path,
    summary: Mapping[str, Any],
    scores: pa.Table,
    move: Mapping[str, Any] | None = None,
) -> None:
    """Write the report of a run to a file, UTF-8.

    Parameters
    ----------
    path
        where to; its folder must exist.
    summary
        see :func:`render_report`.
    scores
        the columns of :func:`stagecast.serving.scoring.score_schema.schema`.
    move
        see :func:`render_report`.
    """
    Path(path).write_text(render_report(summary, scores, move), encoding="utf-8", newline="\n")


def render_report(
    summary: Mapping[str, Any], scores: pa.Table, move: Mapping[str, Any] | None = None
) -> str:
    """Return the report of a run as one self-contained HTML page: no script, nothing fetched, same
    input same bytes.

    Parameters
    ----------
    summary
        what the run says of itself, ready for JSON: the as_of, the log, the scheme, the evaluation
        and the blend; the last two are ``None`` where the log was too small for them.
    scores
        one row per customer, the columns of :func:`stagecast.serving.scoring.score_schema.schema`.
    move
        how customers move, see :func:`stagecast.serving.reports.lifecycle_report.figures`; None
        leaves the section out.
    """
    stages = _stages(summary["scheme"], scores)
    has_money = any(
        _of(_numbers(scores, name), np.sum) is not None
        for name in ("spend", "expected_spend", "clv")
    )
    segments = _by_group(scores, "rfm_segment", sorted(_present(scores, "rfm_segment")))
    page = environment().get_template("report.html")
    return page.render(
        run={
            "evaluation": None,
            "blend": None,
            "notes": [],
            "next_steps": [],
            "method_note": "",
            "churn": "inactivity",
        }
        | dict(summary),
        css=Markup((FOLDER / "static" / "stagecast.css").read_text(encoding="utf-8")),
        icon=Markup((FOLDER / "static" / "icon.svg").read_text(encoding="utf-8").strip()),
        inks=inks(),
        move=move,
        has_money=has_money,
        scheme_title=_english(summary["scheme"].get("title")) or summary["scheme"]["id"],
        titles={stage["id"]: stage["title"] for stage in stages},
        headline=_headline(scores),
        first=_first(scores, has_money),
        stages=stages,
        stage_chart=charts.stage_bars(stages),
        flows=_flows(stages, scores),
        risk=_risk(scores),
        held=_held(scores),
        # those with most value at risk first
        segments=sorted(
            segments, key=lambda row: (-(row["value_at_risk"] or 0.0), -row["customers"])
        ),
        quality=_quality(summary.get("evaluation")),
    )


def _numbers(scores: pa.Table, name: str) -> Array:
    """Return a column as numbers, NaN where it is null."""
    return np.asarray(scores[name].to_numpy(), dtype=np.float64)


def _codes(scores: pa.Table, name: str, values: Sequence[str]) -> Codes:
    """Return each row's place in values, -1 where the column is null."""
    found = pc.fill_null(pc.index_in(scores[name], value_set=pa.array(values, pa.string())), -1)
    return np.asarray(found.to_numpy(), dtype=np.int64)


def _present(scores: pa.Table, name: str) -> list[str]:
    return [value for value in pc.unique(scores[name]).to_pylist() if value is not None]


def _of(values: Array, measure: Callable[[Array], Any]) -> float | None:
    known = values[~np.isnan(values)]
    return float(measure(known)) if len(known) else None


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _headline(scores: pa.Table) -> dict[str, Any]:
    states = np.bincount(
        _codes(scores, "state", charts.STATES) + 1, minlength=len(charts.STATES) + 1
    )[1:]
    high = int((_codes(scores, "churn_band", charts.BANDS) == charts.BANDS.index("high")).sum())
    active = int(states[charts.STATES.index("active")])
    return {
        "customers": scores.num_rows,
        "states": [
            {
                "name": name,
                "customers": int(count),
                "share": _share(float(count), scores.num_rows) or 0.0,
            }
            for name, count in zip(charts.STATES, states, strict=True)
        ],
        "active": active,
        "high": high,
        "high_share": _share(high, active),
        **{
            name: _of(_numbers(scores, name), np.sum)
            for name in ("value_at_risk", "expected_spend", "expected_orders")
        },
        "low_data": int(pc.sum(scores["low_data"]).as_py() or 0),
    }


def _first(scores: pa.Table, has_money: bool) -> list[dict[str, Any]]:
    """Return the customers to look at first: most value at risk or, without amounts, most orders
    at risk.
    """
    at_stake = _numbers(scores, "value_at_risk")
    if not has_money:
        at_stake = _numbers(scores, "churn_probability") * _numbers(scores, "orders")
    known = at_stake[~np.isnan(at_stake)]
    if not len(known):
        return []
    # cut down to those who can be among the first before anything is sorted or copied
    few = min(FIRST_CUSTOMERS, len(known))
    candidates = at_stake >= np.partition(known, len(known) - few)[len(known) - few]
    ranked = scores.filter(pa.array(candidates)).append_column(
        "at_stake", pa.array(at_stake[candidates])
    )
    ranked = ranked.sort_by([("at_stake", "descending"), ("customer_id", "ascending")])
    rows: list[dict[str, Any]] = ranked.slice(0, few).to_pylist()
    return rows


GROUP_MEASURES: Mapping[str, Callable[[Array], Any]] = {
    "spend": np.sum,
    "expected_spend": np.sum,
    "value_at_risk": np.sum,
    "recency_days": np.median,
    "churn_probability": np.mean,
}


def _by_group(scores: pa.Table, name: str, values: Sequence[str]) -> list[dict[str, Any]]:
    codes = _codes(scores, name, values)
    columns = {column: _numbers(scores, column) for column in GROUP_MEASURES}
    rows: list[dict[str, Any]] = []
    for code, value in enumerate(values):
        here = np.flatnonzero(codes == code)
        measured = {
            column: _of(columns[column][here], measure)
            for column, measure in GROUP_MEASURES.items()
        }
        share = _share(len(here), scores.num_rows) or 0.0
        rows.append({"id": value, "customers": len(here), "share": share, **measured})
    return rows


def _stages(scheme: Mapping[str, Any], scores: pa.Table) -> list[dict[str, Any]]:
    known = {stage["id"]: stage for stage in scheme["stages"]}
    ids = [*known, *sorted(set(_present(scores, "stage")) - set(known))]
    rows = _by_group(scores, "stage", ids)
    for row in rows:
        stage = known.get(row["id"], {})
        row["title"] = _english(stage.get("title")) or row["id"]
        row["meaning"], row["action"] = (
            _english(stage.get("meaning")),
            _english(stage.get("action")),
        )
        row["state"], row["rule"] = stage.get("state", "active"), list(stage.get("rule", []))
    return rows


def _english(text: Any) -> str:
    return str(text.get("en", "")) if isinstance(text, Mapping) else str(text or "")


def _flows(stages: Sequence[Mapping[str, Any]], scores: pa.Table) -> dict[str, Any]:
    """Return the mean probability of each stage at the end of the horizon, by present stage."""
    codes = _codes(scores, "stage", [stage["id"] for stage in stages])
    known = [stage for stage in stages if f"p_stage_{stage['id']}" in scores.column_names]
    chances = [_numbers(scores, f"p_stage_{stage['id']}") for stage in known]
    rows = [
        {**stage, "means": [float(chance[codes == code].mean()) for chance in chances]}
        for code, stage in enumerate(stages)
        if stage["customers"]
    ]
    # a stage that nobody is on or will be on tells nothing
    kept = [
        n
        for n, to in enumerate(known)
        if to["customers"] or any(row["means"][n] >= 0.005 for row in rows)
    ]
    return {
        "to": [known[n] for n in kept],
        "rows": [row | {"means": [row["means"][n] for n in kept]} for row in rows],
    }


def _risk(scores: pa.Table) -> dict[str, Any] | None:
    chance = _numbers(scores, "churn_probability")
    known = ~np.isnan(chance)
    if not known.any():
        return None
    place = np.minimum((chance[known] * BINS).astype(np.int64), BINS - 1)
    band = _codes(scores, "churn_band", charts.BANDS)[known]
    bins: list[dict[str, Any]] = []
    for number in range(BINS):
        counts = {
            name: int(((place == number) & (band == code)).sum())
            for code, name in enumerate(charts.BANDS)
        }
        bins.append({"start": number / BINS, "end": (number + 1) / BINS, **counts})
    return {"bins": bins, "mean": _of(chance, np.mean), "chart": charts.risk_histogram(bins)}


def _held(scores: pa.Table) -> dict[str, Any] | None:
    """Return how few customers hold most of the value at risk, and the curve of it."""
    value = _numbers(scores, "value_at_risk")
    value = np.sort(value[~np.isnan(value)])[::-1]
    total = float(value.sum())
    if total <= 0:
        return None
    running = np.r_[0.0, np.cumsum(value)] / total
    places = np.unique(
        (len(value) * np.linspace(0, 1, CURVE_POINTS + 1) ** 2).round().astype(np.int64)
    )
    holders = min(int(np.searchsorted(running, HELD_SHARE)), len(value))
    points = [(float(place / len(value)), float(min(running[place], 1.0))) for place in places]
    share = holders / len(value)
    sizes = sorted(
        {max(1, round(len(value) * part)) for part in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)}
    )
    said = f"{holders:,} customer{'s' if holders > 1 else ''} hold{'' if holders > 1 else 's'} 80%"
    return {
        "customers": holders,
        "of": len(value),
        "share": share,
        "rows": [
            {"customers": size, "share": size / len(value), "held": float(running[size])}
            for size in sizes
        ],
        "chart": charts.held_curve(points, (share, float(running[holders])), said),
    }


def _quality(evaluation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if evaluation is None:
        return None
    groups = evaluation.get("calibration")
    gains = [
        (float(one["share_contacted"]), float(one["share_of_churners"]))
        for one in evaluation.get("gains") or []
    ]
    spend = [
        dict(row)
        | {"of_actual": _share(finite(row.get("predicted_total")), finite(row.get("actual_total")))}
        for row in evaluation.get("spend") or []
    ]
    return {
        "models": comparison(evaluation.get("models"), CHURN),
        "next_stage": comparison(evaluation.get("next_stage"), CHURN),
        "conversion": evaluation.get("conversion"),
        "spend": comparison(spend, SPEND),
        "actual_total": next((row.get("actual_total") for row in spend), None),
        "verdict": _verdict(evaluation.get("models")),
        "groups": groups,
        "calibration": charts.calibration_plot(groups) if groups else None,
        "gains": gains,
        "at_fifth": min(gains, key=lambda point: abs(point[0] - 0.2), default=None),
        "gains_chart": charts.gains_curve([(0.0, 0.0), *gains]) if gains else None,
    }


def _verdict(models: Iterable[Mapping[str, Any]] | None) -> dict[str, Any] | None:
    """Return how our log loss stands to the best of the others."""
    losses = {model["name"]: (finite(model.get("log_loss")), model) for model in models or []}
    own = losses.pop("stagecast", (None, {}))
    others = [(loss, model) for loss, model in losses.values() if loss]
    if own[0] is None or not others:
        return None
    loss, model = min(others, key=lambda pair: pair[0])
    than = model.get("label") or model["name"]
    return {"better": 1 - own[0] / loss, "than": than, "lift": finite(own[1].get("lift_10"))}
