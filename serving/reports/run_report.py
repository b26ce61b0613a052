"""Report of a run: one HTML file for those who plan campaigns and those who maintain the model.

    scores + summary -> figures (NumPy, a few hundred numbers) -> charts -> report.html

Columns of scores are aggregated here; the file holds the twenty customers to look at first and
nothing of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.shop.clock import clock_named
from stagecast.serving.languages.texts import FOLDER
from stagecast.serving.reports import charts
from stagecast.serving.reports.lifecycle_report import MovementFigures, inks
from stagecast.serving.reports.quality import quality
from stagecast.serving.reports.rendering import environment
from stagecast.serving.reports.rfm_words import scale_sentences
from stagecast.serving.reports.summary import (
    SchemeSummary,
    Stake,
    Summary,
    numbers,
    stake_known,
    stakes,
)
from stagecast.training.reference.rfm import segment_definition

Codes = NDArray[np.int64]

FIRST_CUSTOMERS = 20
BINS = 20
TOP_SHARE = 0.8
FEW = 0.3
"""So small a share of the active that holds ``TOP_SHARE`` of the value at risk is worth telling."""
SEGMENT_TITLES = {"at risk": "slipping away (at risk)"}
"""Segments whose name the report uses for something else."""
CURVE_POINTS = 100


def write_report(
    path: str | Path,
    summary: Summary,
    scores: pa.Table,
    move: MovementFigures | None = None,
) -> None:
    """Write the report of a run to a file, UTF-8.

    Parameters
    ----------
    path
        A file in a folder that exists.
    summary, scores, move
        See :func:`render_report`.
    """
    Path(path).write_text(render_report(summary, scores, move), encoding="utf-8", newline="\n")


def render_report(summary: Summary, scores: pa.Table, move: MovementFigures | None = None) -> str:
    """Return the report of a run as one self-contained HTML page.

    It has no script, fetches nothing, and the same input gives the same bytes.

    Parameters
    ----------
    summary
        Summary of the run.
    scores
        One row per customer, the columns of
        :func:`stagecast.serving.scoring.score_schema.schema`.
    move
        How customers move through the stages; None leaves the section out.
    """
    stages = _stages(summary.scheme, scores)
    currency = summary.log.get("currency")
    has_money = any(
        _of(numbers(scores, name), np.sum) is not None
        for name in ("spend", "expected_spend", "clv")
    )
    segments = [
        {
            **row,
            "title": SEGMENT_TITLES.get(row["id"], row["id"]),
            "definition": segment_definition(row["id"]),
        }
        for row in _by_group(scores, "rfm_segment", sorted(_present(scores, "rfm_segment")))
    ]
    page = environment().get_template("report.html")
    return page.render(
        run=summary,
        clock=clock_named(str(summary.log.get("zone", "UTC"))),
        currency=currency,
        css=Markup((FOLDER / "static" / "stagecast.css").read_text(encoding="utf-8")),
        icon=Markup((FOLDER / "static" / "icon.svg").read_text(encoding="utf-8").strip()),
        inks=inks(),
        move=move,
        has_money=has_money,
        scheme_title=_english(summary.scheme.title) or summary.scheme.id,
        titles={stage["id"]: stage["title"] for stage in stages},
        headline=_headline(scores),
        first=_first(scores, has_money),
        stages=stages,
        stage_chart=charts.stage_bars(stages),
        plays=_plays(summary.scheme, scores),
        flows=_flows(stages, scores),
        risk=_risk(scores),
        concentration=_concentration(scores),
        # those with most value at risk first
        rfm=scale_sentences(summary.rfm, has_money=has_money, currency=currency)
        if summary.rfm
        else [],
        segments=sorted(
            segments, key=lambda row: (-(row["value_at_risk"] or 0.0), -row["customers"])
        ),
        quality=None if summary.evaluation is None else quality(summary.evaluation, currency),
    )


def _codes(scores: pa.Table, name: str, values: Sequence[str]) -> Codes:
    """Return each row's position in values, -1 where the column is null."""
    codes = pc.fill_null(pc.index_in(scores[name], value_set=pa.array(values, pa.string())), -1)
    return np.asarray(codes.to_numpy(), dtype=np.int64)


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
            name: _of(numbers(scores, name), np.sum)
            for name in ("value_at_risk", "value_gone", "expected_spend", "expected_orders")
        },
        "low_data": int(pc.sum(scores["low_data"]).as_py() or 0),
    }


def _first(scores: pa.Table, has_money: bool) -> list[dict[str, Any]]:
    """Return the active customers with most value at risk or, without amounts, orders at risk."""
    at_stake = (
        stakes(scores)
        if has_money
        else numbers(scores, "churn_probability") * numbers(scores, "orders")
    )
    known = at_stake[~np.isnan(at_stake)]
    if not len(known):
        return []
    # only those who can be among the first are sorted and copied
    count = min(FIRST_CUSTOMERS, len(known))
    candidates = at_stake >= np.partition(known, len(known) - count)[len(known) - count]
    ranked = scores.filter(pa.array(candidates)).append_column(
        "at_stake", pa.array(at_stake[candidates])
    )
    ranked = ranked.sort_by([("at_stake", "descending"), ("customer_id", "ascending")])
    rows: list[dict[str, Any]] = ranked.slice(0, count).to_pylist()
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
    columns = {column: numbers(scores, column) for column in GROUP_MEASURES}
    rows: list[dict[str, Any]] = []
    for code, value in enumerate(values):
        members = np.flatnonzero(codes == code)
        measures = {
            column: _of(columns[column][members], measure)
            for column, measure in GROUP_MEASURES.items()
        }
        share = _share(len(members), scores.num_rows) or 0.0
        rows.append({"id": value, "customers": len(members), "share": share, **measures})
    return rows


def _stages(scheme: SchemeSummary, scores: pa.Table) -> list[dict[str, Any]]:
    known = {stage["id"]: stage for stage in scheme.stages}
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


def _plays(scheme: SchemeSummary, scores: pa.Table) -> list[dict[str, Any]]:
    """Return the plays that some customer has, in the order in which they are tried."""
    rows = _by_group(scores, "play", [play["id"] for play in scheme.plays])
    texts = [
        {
            "title": _english(play["title"]),
            # a play without an action leaves that of the stage as it is
            "action": _english(play["action"]) if play.get("action") else "as on their stage",
            "when": list(play["when"]),
        }
        for play in scheme.plays
    ]
    return [row | text for row, text in zip(rows, texts, strict=True) if row["customers"]]


def _english(text: Any) -> str:
    return str(text.get("en", "")) if isinstance(text, Mapping) else str(text or "")


def _flows(stages: Sequence[Mapping[str, Any]], scores: pa.Table) -> dict[str, Any]:
    """Return the mean probability of each stage at the end of the horizon, by present stage."""
    codes = _codes(scores, "stage", [stage["id"] for stage in stages])
    known = [stage for stage in stages if f"p_stage_{stage['id']}" in scores.column_names]
    chances = [numbers(scores, f"p_stage_{stage['id']}") for stage in known]
    rows = [
        {**stage, "means": [float(chance[codes == code].mean()) for chance in chances]}
        for code, stage in enumerate(stages)
        if stage["customers"]
    ]
    # a stage that nobody is on, or is expected on, has no column
    shown = [
        n
        for n, to in enumerate(known)
        if to["customers"] or any(row["means"][n] >= 0.005 for row in rows)
    ]
    return {
        "to": [known[n] for n in shown],
        "rows": [row | {"means": [row["means"][n] for n in shown]} for row in rows],
    }


def _risk(scores: pa.Table) -> dict[str, Any] | None:
    chance = numbers(scores, "churn_probability")
    known = ~np.isnan(chance)
    if not known.any():
        return None
    position = np.minimum((chance[known] * BINS).astype(np.int64), BINS - 1)
    band = _codes(scores, "churn_band", charts.BANDS)[known]
    bins: list[dict[str, Any]] = []
    for number in range(BINS):
        counts = {
            name: int(((position == number) & (band == code)).sum())
            for code, name in enumerate(charts.BANDS)
        }
        bins.append({"start": number / BINS, "end": (number + 1) / BINS, **counts})
    return {"bins": bins, "mean": _of(chance, np.mean), "chart": charts.risk_histogram(bins)}


def _concentration(scores: pa.Table) -> dict[str, Any] | None:
    """Return how many customers hold 80 % of the value at risk, and the curve of shares.

    None where the value at risk is not known, or is 0.
    """
    if stake_known(scores) is not Stake.VALUE_AT_RISK:
        return None
    value = stakes(scores)
    value = np.sort(value[~np.isnan(value)])[::-1]
    total = float(value.sum())
    if total <= 0:
        return None
    running = np.r_[0.0, np.cumsum(value)] / total
    positions = np.unique(
        (len(value) * np.linspace(0, 1, CURVE_POINTS + 1) ** 2).round().astype(np.int64)
    )
    holders = min(int(np.searchsorted(running, TOP_SHARE)), len(value))
    points = [
        (float(position / len(value)), float(min(running[position], 1.0))) for position in positions
    ]
    share = holders / len(value)
    sizes = sorted(
        {max(1, round(len(value) * part)) for part in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)}
    )
    caption = (
        f"{holders:,} customer{'s' if holders > 1 else ''} hold{'' if holders > 1 else 's'} 80%"
    )
    return {
        "customers": holders,
        "of": len(value),
        "share": share,
        "few": share <= FEW,
        "rows": [
            {"customers": size, "share": size / len(value), "share_of_value": float(running[size])}
            for size in sizes
        ],
        "chart": charts.concentration_curve(points, (share, float(running[holders])), caption),
    }
