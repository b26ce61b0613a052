"""The model card of a bundle as Markdown, and its figures as SVG, for a run of MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagecast.features.clock import iso
from stagecast.training.bundle import Bundle
from stagecast.training.churn_kinds import kind_of
from stagecast.training.learners.metrics import CalibrationGroup


def card_text(bundle: Bundle) -> str:
    """Return what a reader of the model must know: what it predicts, how well, and its limits."""
    config, card = bundle.models.config, bundle.card
    kind = kind_of(config.churn)
    lines = [
        f"# stagecast model {bundle.model_version}",
        "",
        f"Predicts {kind.wording.probability} within {config.horizon_days} days (churn is "
        f"{config.churn}), the next stage of the scheme {bundle.models.scheme.id}, and the value "
        f"over {config.value_horizon_days} days.",
        "",
        f"- trained as of {iso(bundle.as_of)}; last event {iso(bundle.data_cutoff)}",
        f"- method: {kind.method(bundle.models)} ({kind.method_note(bundle.models)})",
    ]
    if bundle.money.currency:
        lines.append(f"- money in {bundle.money.currency}")
    evaluation = card.get("evaluation")
    if evaluation:
        lines += ["", "## Evaluation", "", str(evaluation["grade_sentence"]), ""]
        asked = evaluation.get("active") or evaluation
        whom = "active customers" if evaluation.get("active") else "customers"
        lines += [f"Figures of {asked['customers']:,} {whom}:", ""]
        lines += ["| method | log loss | AUC | calibration error |", "|---|---|---|---|"]
        for row in asked["models"]:
            auc = "" if row["auc"] is None else f"{row['auc']:.3f}"
            lines.append(
                f"| {row['label']} | {row['log_loss']:.4f} | {auc} | "
                f"{row['calibration_error']:.4f} |"
            )
        value = evaluation.get("value")
        if value:
            lines += ["", str(value["grade_sentence"])]
    notes = [note for note in (card.get("horizon_note"), *card.get("notes", ())) if note]
    if notes:
        lines += ["", "## Limits", "", *(f"- {note}" for note in notes)]
    lines += ["", "The model needs the package stagecast to be installed, and holds no pickle."]
    return "\n".join(lines) + "\n"


def figures(card: Mapping[str, Any]) -> dict[str, str]:
    """Return path among the artefacts -> SVG; none where a card has no evaluation."""
    evaluation = card.get("evaluation")
    if not evaluation:
        return {}
    from stagecast.serving.reports.charts import calibration_plot, gains_curve
    from stagecast.training.churn_kinds import kind_of

    left = kind_of(card.get("churn") or "inactivity").wording.left
    groups = [CalibrationGroup(**group) for group in evaluation["calibration"]]
    drawn = {"figures/calibration.svg": str(calibration_plot(groups, left))}
    gains = [
        (float(point["share_contacted"]), float(point["share_of_churners"]))
        for point in evaluation["gains"]
    ]
    if gains:
        drawn["figures/gains.svg"] = str(gains_curve([(0.0, 0.0), *gains], left))
    return drawn
