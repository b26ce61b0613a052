"""Report of a run: one HTML file for those who plan campaigns and those who maintain the model.

    scores + summary -> figures (a few hundred numbers) -> parts of the pages -> report.html

The file holds the twenty customers to look at first and nothing of the others. It is made of the
templates of the pages and says what it says in the language that is asked for.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from markupsafe import Markup

from stagecast.features.plain_json import to_json
from stagecast.features.shop.clock import clock_named
from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.scheme_words import scheme_texts, translation
from stagecast.serving.languages.texts import FOLDER, texts_of
from stagecast.serving.reports import run_figures as figures
from stagecast.serving.reports.lifecycle_report import MovementFigures, inks
from stagecast.serving.reports.quality import quality
from stagecast.serving.reports.rendering import environment
from stagecast.serving.reports.rfm_words import scale_sentences
from stagecast.serving.reports.summary import Summary, stake_known
from stagecast.serving.reports.value_grid import grid_cells, grid_rows


def write_report(
    path: str | Path,
    summary: Summary,
    scores: pa.Table,
    move: MovementFigures | None = None,
    display: Display = ENGLISH,
) -> None:
    """Write the report of a run to a file, UTF-8.

    Parameters
    ----------
    path
        A file in a folder that exists.
    summary, scores, move, display
        See :func:`render_report`.
    """
    page = render_report(summary, scores, move, display)
    Path(path).write_text(page, encoding="utf-8", newline="\n")


def render_report(
    summary: Summary,
    scores: pa.Table,
    move: MovementFigures | None = None,
    display: Display = ENGLISH,
) -> str:
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
        How customers move through the stages, drawn for the same display; None leaves the section
        out.
    display
        Language and digits.
    """
    language, currency = display.language, summary.log.get("currency")
    by_money = figures.has_money(scores)
    stages = figures.stage_rows(summary.scheme, scores, language)
    evaluation = None if summary.evaluation is None else to_json(summary.evaluation)
    scheme = {"stage": summary.scheme.stages, "play": summary.scheme.plays}
    return (
        environment(display)
        .get_template("report.html")
        .render(
            run=summary,
            clock=clock_named(str(summary.log.get("zone", "UTC"))),
            currency=currency,
            css=Markup((FOLDER / "static" / "stagecast.css").read_text(encoding="utf-8")),
            icon=Markup((FOLDER / "static" / "icon.svg").read_text(encoding="utf-8").strip()),
            inks=inks(),
            move=move,
            has_money=by_money,
            scheme_title=translation(summary.scheme.title, language, summary.scheme.id),
            scheme_texts=scheme_texts(scheme, language),
            titles={stage["id"]: stage["title"] for stage in stages},
            headline=figures.headline(scores),
            first=figures.first_customers(scores),
            stake=stake_known(scores).value,
            stages=stages,
            plays=figures.play_rows(
                summary.scheme, scores, language, texts_of(language)["report"]["as_stage"]
            ),
            play_titles={
                play["id"]: translation(play["title"], language, play["id"])
                for play in summary.scheme.plays
            },
            flows=figures.expected_stages(stages, scores),
            grid=grid_rows(grid_cells(scores)),
            holders=figures.holders(scores),
            rfm=scale_sentences(summary.rfm, has_money=by_money, currency=currency, display=display)
            if summary.rfm
            else [],
            segments=figures.segment_rows(scores),
            evaluation=evaluation,
            quality=None if evaluation is None else quality(evaluation, currency, display),
            blend=None if summary.blend is None else to_json(summary.blend),
        )
    )
