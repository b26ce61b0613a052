"""What commands print when they are done, for people; numbers as they stand in the files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from stagecast.features.stages.scheme import Scheme
from stagecast.serving.commands.console import table
from stagecast.serving.commands.stage_lines import stage_lines
from stagecast.serving.pipeline import MODEL, REPORT, SCORES, Run
from stagecast.serving.reports.lifecycle_report import TABLES
from stagecast.serving.runs.inspection import DATA_REPORT, REJECTED
from stagecast.serving.runs.summary import most_at_risk
from stagecast.serving.scoring.batch import stage_counts
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import Churn

TOP = 10


def log_lines(report: Mapping[str, Any]) -> list[str]:
    """Return how many rows were read and what became of them."""
    lines = [
        f"{report['rows_in']:,} rows read: {report['rows_loaded']:,} loaded, "
        f"{report['rows_rejected']:,} refused, "
        f"{report['rows_duplicate']:,} duplicates; {report['customers']:,} customers, "
        f"{str(report['first_event'])[:10]} to {str(report['last_event'])[:10]}"
    ]
    if report["rejected_by_reason"]:
        reasons = ", ".join(
            f"{reason} {count:,}" for reason, count in report["rejected_by_reason"].items()
        )
        lines.append(f"refused: {reasons} (see {REJECTED})")
    return lines + [f"warning: {warning}" for warning in report["warnings"]]


def score_lines(scores: pa.Table, scheme: Scheme) -> list[str]:
    """Return how many of those scored stand on each stage."""
    return stage_lines(stage_counts(scores, scheme.ids), scheme)


def evaluation_lines(evaluation: Mapping[str, Any] | None, churn: Churn) -> list[str]:
    """Return how good the model is on the later period, against the baselines."""
    if evaluation is None:
        return []  # the notes say why
    rows = [["method", "log loss", "AUC", "calibration error", "lift at 10 %"]]
    for model in evaluation["models"]:
        numbers = [model[k] for k in ("log_loss", "auc", "calibration_error", "lift_10")]
        rows.append([model["label"], *("-" if n is None else f"{n:.4f}" for n in numbers)])
    ours, chain = (row["log_loss"] for row in evaluation["next_stage"])
    wording = kind_of(churn).wording
    return [
        f"{wording.probability}, trained before {evaluation['as_of']}, tested on what came until "
        f"{evaluation['until']} "
        f"({evaluation['customers']:,} customers, {evaluation['base_rate']:.1%} of them "
        f"{wording.left}):",
        *table(rows, {1, 2, 3, 4}),
        f"Grade {evaluation['grade']}: {evaluation['grade_sentence']}",
        f"Next stage: log loss {ours:.4f}, Markov chain {chain:.4f}.",
        *_lead_lines(evaluation.get("conversion")),
    ]


def _lead_lines(found: Mapping[str, Any] | None) -> list[str]:
    """Return how good P(first purchase) was, if there were prospects."""
    if found is None:
        return []
    auc = "-" if found["auc"] is None else f"{found['auc']:.4f}"
    return [
        f"First purchase: of {found['leads']:,} without an order {found['converted']:,} bought "
        f"({found['expected']:,.0f} were expected); AUC {auc}, "
        f"log loss {found['log_loss']:.4f}, all alike {found['log_loss_share']:.4f}."
    ]


def risk_lines(scores: pa.Table) -> list[str]:
    """Return the customers with the most value at risk, with their reasons."""
    rows = [["customer", "stage", "churn", "at risk", "reasons"]]
    for row in most_at_risk(scores, TOP):
        money = "-" if row["value_at_risk"] is None else f"{row['value_at_risk']:,.0f}"
        told = "; ".join(reason["sentence"] for reason in row["reasons"])
        rows.append(
            [row["customer_id"], row["stage"], f"{row['churn_probability']:.0%}", money, told]
        )
    if len(rows) == 1:
        return ["Nobody is active: there is no churn risk to rank."]
    return table(rows, {2, 3})


def run_lines(run: Run) -> list[str]:
    """Return everything that `run` and `demo` print."""
    told = run.summary
    return [
        *log_lines(told["log"]),
        "",
        f"Customers per stage on {told['as_of']} (scheme {told['scheme']['id']}):",
        *score_lines(run.scores, run.bundle.models.scheme),
        "",
        f"How good it is (method: {told['method']}, {told['method_note']}):",
        *evaluation_lines(told["evaluation"], told["churn"]),
        *told["notes"],
        "",
        f"The {TOP} customers with the most value at risk in the next {told['horizon_days']} days:",
        *risk_lines(run.scores),
        "",
        *file_lines(run.folder),
    ]


def file_lines(folder: Path) -> list[str]:
    """Return where the files are."""
    meaning = {
        REPORT: "the report; open it in a browser",
        SCORES: "one row per customer",
        TABLES: "how customers move: tables as Parquet and JSON",
        MODEL: "the model bundle",
        DATA_REPORT: "what was read",
        REJECTED: "what was refused, with line and reason",
    }
    return ["Files:", *(f"  {folder / name!s:<36} {text}" for name, text in meaning.items())]
