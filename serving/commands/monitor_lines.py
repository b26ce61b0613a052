"""What `monitor` prints: the advice, why, and the tables that it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.intake.counted import counted
from stagecast.features.shop.money import NOTHING
from stagecast.serving.commands.console import table
from stagecast.serving.runs.files import MONITORING, MONITORING_METRICS, MONITORING_REPORT

if TYPE_CHECKING:
    from stagecast.serving.monitor.result import Monitoring
    from stagecast.training.churn_kinds.kind import Wording
    from stagecast.training.monitoring.movement import Movement

MOST_FEATURES = 8
MOST_GROUPS = 14


def monitor_lines(result: Monitoring, out: Path | None) -> list[str]:
    """Return the result for a terminal; ``out`` is the folder that it was written to."""
    lines = [
        result.advice.sentence,
        "",
        *table(
            [
                ["", "speaks for", "because"],
                *([r.cause, r.action, r.sentence] for r in result.advice.reasons),
            ],
            set(),
        ),
        "",
        f"model {result.model_version}, trained as of {result.trained_as_of}; as of "
        f"{result.as_of} {counted(result.customers, 'customer')}, {result.active:,} of them active",
        *_settled(result),
        *_quality(result),
        *_events(result),
        *_moved("feature", result.features),
        *_moved("score", result.scores),
        *(f"note: {note}" for note in result.notes),
    ]
    if out is not None:
        lines += [
            "",
            f"  {out / MONITORING_REPORT!s:<36} the report; open it in a browser",
            f"  {out / MONITORING!s:<36} the same as JSON",
            f"  {out / MONITORING_METRICS!s:<36} the same for Prometheus",
        ]
    return lines


def _words(result: Monitoring) -> Wording:
    from stagecast.training.churn_kinds import kind_of  # slow to import

    return kind_of(result.churn).wording


def _settled(result: Monitoring) -> list[str]:
    if not result.settled:
        return []
    outcome = _words(result).left
    rows = [["said against what came", "", "customers", "said", "by chance", outcome, "", "money"]]
    for line in result.settled[:MOST_GROUPS]:
        group, ratio = line.compared, line.compared.money_ratio
        rows.append(
            [
                f"{line.source} {line.by}",
                line.name,
                f"{group.customers:,}",
                f"{group.said:,.0f}",
                f"{group.low:,.0f} to {group.high:,.0f}",
                f"{group.left:,}",
                "off" if group.off else "",
                NOTHING if ratio is None else f"{ratio:.0%}{' off' if group.money_off else ''}",
            ]
        )
    more = len(result.settled) - MOST_GROUPS
    return ["", *table(rows, {2, 3, 4, 5}), *([f"and {more} more"] if more > 0 else [])]


def _quality(result: Monitoring) -> list[str]:
    event = _words(result).event.lower()
    rows = [["quality, of the active", "as of", event, "AUC", "log loss", "Brier"]]
    if (tested := result.tested) is not None:
        rows.append(
            [
                "tested by the training",
                tested.as_of,
                f"{tested.leaving:.1%}",
                _number(tested.auc, ".3f"),
                f"{tested.log_loss:.4f}",
                f"{tested.brier:.4f}",
            ]
        )
    if (checked := result.checked) is not None:
        rows.append(
            [
                "came true",
                checked.as_of,
                _number(checked.compared.left_share, ".1%"),
                _number(checked.auc, ".3f"),
                f"{checked.log_loss:.4f}",
                f"{checked.brier:.4f}",
            ]
        )
    if (expected := result.estimated) is not None:
        rows.append(
            [
                "expected, if calibrated",
                result.as_of,
                f"{expected.leaving:.1%}",
                NOTHING if expected.auc is None else f"{expected.auc.value:.3f}",
                f"{expected.log_loss.value:.4f}",
                f"{expected.brier.value:.4f}",
            ]
        )
    return ["", *table(rows, {2, 3, 4, 5})] if len(rows) > 1 else []


def _events(result: Monitoring) -> list[str]:
    if not result.events:
        return []
    rows = [["event", "a day before", "now", "factor", "by chance", "year ago", ""]]
    rows += [
        [
            row.name,
            f"{row.change.before:,.1f}",
            f"{row.change.now:,.1f}",
            f"{row.change.factor:.2f}",
            f"{row.change.low / row.change.factor:.2f} to "
            f"{row.change.high / row.change.factor:.2f}",
            _number(row.year_ago, ".2f"),
            row.reading,
        ]
        for row in result.events
    ]
    return ["", *table(rows, {1, 2, 3, 4, 5})]


def _moved(kind: str, movements: tuple[Movement, ...]) -> list[str]:
    if not movements:
        return []
    shown = movements[:MOST_FEATURES]
    rows = [[kind, "PSI", "by chance", "before", "now", "year ago", "earlier", "reading"]]
    rows += [
        [
            movement.name,
            f"{movement.since_training.psi:.3f}",
            f"{movement.since_training.psi_by_chance:.3f}",
            _number(movement.before, ".4g"),
            _number(movement.now, ".4g"),
            _number(movement.year_ago, ".3f"),
            _number(movement.earlier, ".3f"),
            movement.reading,
        ]
        for movement in shown
    ]
    quiet = sum(movement.reading in ("quiet", "small") for movement in movements)
    rest = f"{quiet} of {len(movements)} {kind}s are quiet or moved little"
    return ["", *table(rows, {1, 2, 3, 4, 5, 6}), rest]


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)
