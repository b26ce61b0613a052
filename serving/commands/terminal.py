"""What commands print when they are done, for people; numbers as they stand in the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagecast.features.clock import iso, parse_instant
from stagecast.features.intake.counted import counted
from stagecast.features.shop.clock import clock_named
from stagecast.serving.commands.console import table
from stagecast.serving.jobs.written import Written
from stagecast.serving.runs.files import (
    DATA_REPORT,
    MODEL,
    REJECTED,
    REJECTED_ON_SPARK,
    REPORT,
    SCORES,
    TABLES,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from stagecast.features.catalog.catalog import Catalog
    from stagecast.features.stages.scheme import Scheme
    from stagecast.serving.jobs.leads import LeadRanking
    from stagecast.serving.jobs.movement import MovementFolder
    from stagecast.serving.jobs.scores import Scored
    from stagecast.serving.jobs.training import TrainedBundle
    from stagecast.serving.runs.run import Run
    from stagecast.training.config import Churn
    from stagecast.training.judging.evaluation_result import ConversionFigures, Evaluation
    from stagecast.training.judging.ranking import Ranking

TOP = 10


def log_lines(report: Mapping[str, Any]) -> list[str]:
    """Return how many rows were read and what became of them; days are those of the shop."""
    clock = clock_named(str(report.get("zone", "UTC")))
    first, last = (
        clock.shop(parse_instant(str(report[name]))).date().isoformat()
        for name in ("first_event", "last_event")
    )
    lines = [
        f"{counted(report['rows_in'], 'row')} read: {report['rows_loaded']:,} loaded, "
        f"{report['rows_rejected']:,} refused, "
        f"{counted(report['rows_duplicate'], 'duplicate')}; "
        f"{counted(report['customers'], 'customer')}, {first} to {last}"
    ]
    if report["rejected_by_reason"]:
        reasons = ", ".join(
            f"{reason} {count:,}" for reason, count in report["rejected_by_reason"].items()
        )
        lines.append(f"refused: {reasons} (see {REJECTED})")
    if report.get("later_events"):
        later = counted(report["later_events"], "event")
        are = "is" if report["later_events"] == 1 else "are"
        lines.append(
            f"{later} from the as_of on {are} read and checked, and not known to the scores"
        )
    return lines + [f"warning: {warning}" for warning in report["warnings"]]


def counted_lines(scores: pa.Table, scheme: Scheme) -> list[str]:
    """Return how many of those scored stand on each stage."""
    from stagecast.serving.commands.stage_lines import stage_lines
    from stagecast.serving.scoring.batch import stage_counts

    return stage_lines(stage_counts(scores, scheme.ids), scheme)


def evaluation_lines(evaluation: Evaluation | None, churn: Churn) -> list[str]:
    """Return how good the model is on the later period, against the baselines."""
    if evaluation is None:
        return []  # the notes say why
    from stagecast.training.churn_kinds import kind_of

    rows = [["method", "log loss", "AUC", "calibration error", "lift at 10 %"]]
    asked = evaluation.asked
    for model in asked.models:
        numbers = (model.log_loss, model.auc, model.calibration_error, model.lift_10)
        rows.append([model.label, *("-" if n is None else f"{n:.4f}" for n in numbers)])
    ours, chain = (method.log_loss for method in evaluation.next_stage)
    wording = kind_of(churn).wording
    whom = counted(asked.customers, "customer")
    if asked.customers < evaluation.customers:
        # the grade is of those whom churn is asked of, and so is the table
        whom = f"the {asked.customers:,} active of {counted(evaluation.customers, 'customer')}"
    return [
        f"{wording.probability}, trained before {evaluation.as_of}, tested on what came until "
        f"{evaluation.until} "
        f"({whom}, {asked.base_rate:.1%} of them {wording.left}):",
        *table(rows, {1, 2, 3, 4}),
        f"Grade {evaluation.grade}: {evaluation.grade_sentence}",
        f"Next stage: log loss {ours:.4f}, Markov chain {chain:.4f}.",
        *_conversion_lines(evaluation.conversion),
    ]


def _conversion_lines(conversion: ConversionFigures | None) -> list[str]:
    """Return how good P(first purchase) was, if there were prospects."""
    if conversion is None:
        return []
    from stagecast.serving.languages.display import ENGLISH

    auc = "-" if conversion.auc is None else f"{conversion.auc:.4f}"
    return [
        f"First purchase: of {conversion.leads:,} without an order "
        f"{conversion.converted:,} bought "
        f"({ENGLISH.expected_count(conversion.expected)} were expected); AUC {auc}, "
        f"log loss {conversion.log_loss:.4f}, with one chance for all "
        f"{conversion.log_loss_share:.4f}."
    ]


def risk_lines(scores: pa.Table, days: int, currency: str | None = None) -> list[str]:
    """Return the active customers with the most at stake, with their reasons.

    Parameters
    ----------
    scores
        One row per customer.
    days
        Days that the value at risk looks ahead.
    currency
        Code of the currency of the amounts; None: not known.
    """
    from stagecast.features.shop.money import in_currency
    from stagecast.serving.reports.summary import Stake, most_at_risk, stake_known
    from stagecast.training.reasons.sentences import because_but

    stake = stake_known(scores)
    titles = {
        Stake.VALUE_AT_RISK: f"the most value at risk in the next {days} days",
        Stake.RISK_OF_VALUE: (
            f"the most at stake (the churn probability times the value of the next {days} days)"
        ),
        Stake.SPEND_OF_YEAR: "the most at stake (the churn probability times the spend of a year)",
        Stake.PROBABILITY: "the highest churn probability",
    }
    at_stake = {Stake.RISK_OF_VALUE: ["at stake"], Stake.SPEND_OF_YEAR: ["at stake"]}
    column = {Stake.VALUE_AT_RISK: ["at risk"], **at_stake}.get(stake, [])
    rows = [["customer", "stage", "churn", *column, "reasons"]]
    for row in most_at_risk(scores, TOP):
        money = [in_currency(f"{row['at_stake']:,.0f}", currency)] if column else []
        why = because_but(row["reasons"], currency=currency, band=row.get("churn_band"))
        risk = share_text(row["churn_probability"])
        rows.append([row["customer_id"], row["stage"], risk, *money, why])
    if len(rows) == 1:
        return ["Nobody is active: there is no churn risk to rank."]
    shown = counted(len(rows) - 1, "customer")
    return [f"The {shown} with {titles[stake]}:", *table(rows, {2, 3} if column else {2})]


def share_text(probability: float) -> str:
    """Return a probability in per cent; nothing is sure that is only nearly so.

    >>> share_text(0.004), share_text(0.29), share_text(0.998), share_text(1.0)
    ('<1%', '29%', '>99%', '100%')
    """
    if 0 < probability < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= probability < 1 else f"{probability:.0%}"


def run_lines(run: Run, next_steps: Sequence[str]) -> list[str]:
    """Return everything that `run` and `demo` print; ``next_steps`` are commands to go on with."""
    summary = run.summary
    return [
        *horizon_lines(summary.horizon_note),
        *log_lines(summary.log),
        *(f"look at: {finding}" for finding in summary.findings),
        "",
        f"Customers per stage on {summary.as_of} (scheme {summary.scheme.id}):",
        *counted_lines(run.scores, run.bundle.models.scheme),
        "",
        f"How good it is (method: {summary.method}, {summary.method_note}):",
        *evaluation_lines(summary.evaluation, summary.churn),
        *summary.notes,
        "",
        *_ranked_lines(run),
        "",
        *file_lines(run.folder),
        "",
        "Next:",
        *(f"  {line}" for line in next_steps),
    ]


def horizon_lines(note: str | None) -> list[str]:
    """Return what is said first where the horizon is shorter than the usual gap."""
    return [] if note is None else [f"warning: {note}", ""]


def _ranked_lines(run: Run) -> list[str]:
    """Return the customers with the most at stake, or why nobody is ranked."""
    if run.summary.not_ranked is not None:
        return [run.summary.not_ranked]
    return risk_lines(run.scores, run.summary.value_horizon_days, run.bundle.money.currency)


def file_lines(folder: Path) -> list[str]:
    """Return where the files of a run are."""
    meaning = {
        REPORT: "the report; open it in a browser",
        SCORES: "one row per customer",
        TABLES: "how customers move: tables as Parquet and JSON",
        MODEL: "the model bundle",
        DATA_REPORT: "what was read",
        REJECTED: "what was refused, with line and reason",
    }
    return ["Files:", *(f"  {folder / name!s:<36} {text}" for name, text in meaning.items())]


def _not_ranked(ranking: Ranking | None) -> list[str]:
    return [] if ranking is None or ranking.sentence is None else [ranking.sentence]


def bundle_lines(trained: TrainedBundle) -> list[str]:
    """Return what `train` prints: how good the models are, and where the bundle is."""
    bundle = trained.bundle
    return [
        *horizon_lines(trained.card.horizon_note),
        *evaluation_lines(trained.card.evaluation, bundle.models.config.churn),
        *trained.card.notes,
        *_not_ranked(trained.card.ranking),
        "",
        f"model {bundle.model_version} written: {trained.out}",
        *_promotion_lines(trained),
    ]


def _promotion_lines(trained: TrainedBundle) -> list[str]:
    if trained.promotion is None:
        return []
    from stagecast.serving.commands.model_lines import challenge_lines

    return challenge_lines(trained.promotion)


def score_lines(written: Scored | Written) -> list[str]:
    """Return what `score` prints: customers per stage, and where the scores are."""
    if isinstance(written, Written):
        return written_lines(written)
    from stagecast.serving.commands.stage_lines import stage_lines

    return [
        *stage_lines(written.counts, written.scheme),
        "",
        f"{counted(sum(written.counts.values()), 'score')} written: {written.out}",
    ]


def written_lines(written: Written) -> list[str]:
    """Return how many customers are in a table, and what Spark refused or warns of."""
    lines = [
        f"{written.what} of {counted(written.customers, 'customer')} at {iso(written.as_of)} "
        f"written: {written.out}"
    ]
    if refused := written.counts.get("rows_rejected"):
        lines.append(
            f"{refused:,} of {counted(written.counts['rows_in'], 'row')} refused: "
            f"{written.out / REJECTED_ON_SPARK}"
        )
    return [*lines, *(f"warning: {warning}" for warning in written.warnings)]


def catalog_lines(catalog: Catalog) -> list[str]:
    """Return the features of a catalogue: name, unit, meaning, how each is made."""
    head = ["feature", "unit", "meaning", "how it is made"]
    return table(
        [head, *([f.name, f.unit, f.meaning, f.definition] for f in catalog.features)], set()
    )


def query_lines(queries: Mapping[str, str]) -> list[str]:
    """Return queries in their order, each under its name, with a blank line between two."""
    return ["\n\n".join(f"-- {name}\n{text};" for name, text in queries.items())]


def movement_lines(written: MovementFolder) -> list[str]:
    """Return what `report` prints: what changed at a date, and where the files are."""
    compared = written.compared
    changes = (
        []
        if compared is None
        else [compared.headline, *(f"  {measure.sentence}" for measure in compared.measures), ""]
    )
    return [
        *changes,
        f"  {written.out / REPORT!s:<36} the report; open it in a browser",
        f"  {written.out / TABLES!s:<36} its tables: Parquet, JSON",
        *(["  the comparison is on the page Results"] if written.is_published else []),
    ]


def lead_lines(ranking: LeadRanking) -> list[str]:
    """Return what `leads` prints: the first leads with their reasons, and where all are."""
    request, leads = ranking.request, ranking.leads
    rows = [["lead", "points", "grade", "p_convert", "reasons"]]
    for row in leads.slice(0, TOP).to_pylist():
        chance = "-" if row["p_convert"] is None else f"{row['p_convert']:.1%}"
        points = f"{row['lead_points']:.1f}"
        rows.append([row["customer_id"], points, row["lead_grade"], chance, row["lead_reasons"]])
    grades = ", ".join(f"{name} {count:,}" for name, count in ranking.grades.items())
    lines = [
        f"{counted(len(leads), 'lead')} at {iso(ranking.as_of)}: {grades}",
        *ranking.notes,
        *table(rows, {1, 3}),
        f"written: {request.out}",
    ]
    if ranking.closed:
        ends = ", ".join(request.ends_lead)
        lines.insert(1, f"{ranking.closed:,} are no leads any more ({ends})")
    if ranking.suggested is not None:
        learned = ranking.suggested
        lines.append(
            f"points suggested from {counted(learned.leads, 'lead')}, {learned.conversions:,} of "
            f"whom bought: {request.learn}"
        )
        lines += [f"  {rule.label} {rule.points:+g}" for rule in learned.learned[:TOP]]
    return lines
