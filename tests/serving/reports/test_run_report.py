"""The report of a run: one file that fetches nothing, says what it does not know, and is the
same each time.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from stagecast.features.clock import iso
from stagecast.serving.reports.run_report import render_report, write_report
from stagecast.serving.reports.summary import SchemeSummary, Summary
from stagecast.serving.scoring import score_schema
from stagecast.training.card import Blend
from stagecast.training.churn_kinds.learned import PastDate, PoolCard
from stagecast.training.judging.evaluation_result import (
    ChurnFigures,
    ConversionFigures,
    Coverage,
    Evaluation,
    SpendFigures,
    StageFigures,
    ValueEvaluation,
)
from stagecast.training.learners.metrics import CalibrationGroup, GainsPoint
from stagecast.training.reference.rfm import RfmScale, RfmScales
from tests.serving import published

pytestmark = pytest.mark.slow

AS_OF = datetime(1998, 7, 1, tzinfo=UTC)
STAGES = published.STAGES
STATE_OF = np.array([published.STATE_OF.get(stage, "active") for stage in STAGES])
ACTIVE = tuple(stage for stage, state in zip(STAGES, STATE_OF, strict=True) if state == "active")
MONEY = (
    "monetary",
    "spend",
    "value_at_risk",
    "value_gone",
    "value_if_kept",
    *(f"{x}{end}" for x in ("expected_spend", "clv") for end in ("", "_low", "_high")),
)
SEGMENTS = np.array(
    ["hibernating", "loyal customers", "champions", "at risk", "new customers", "needs attention"]
)
SCRIPT = "<script>alert(1)</script>"
REASONS = [
    {"feature": name, "value": 2.7, "usual": 1.0, "effect": 0.8, "sentence": sentence}
    for name, sentence in (
        ("overdue_ratio", "Silent 2.7 times as long as usual."),
        ("spend_90d", "Spent nothing in 90 days, where 41 is usual."),
        ("orders", "3 orders so far, where 5 are usual."),
    )
]


def made_scores(customers: int, *, stages: tuple[str, ...] = STAGES, seed: int = 3) -> pa.Table:
    """Return scores as a shop would have them: most bought once, a few spend most."""
    rng = np.random.default_rng(seed)
    chances = np.array([0.0, 0.05, 0.16, 0.06, 0.13, 0.38, 0.2, 0.02]) * np.isin(STAGES, stages)
    place = rng.choice(len(STAGES), customers, p=chances / chances.sum())
    stage, state = np.array(STAGES)[place], STATE_OF[place]
    active = state == "active"
    leaving = np.array([0.9, 0.55, 0.38, 0.2, 0.66, 0.93, 0.98, 0.5])[place]
    p_inactive = rng.beta(9 * leaving, 9 * (1 - leaving))
    usual = np.array([200, 40, 45, 30, 150, 320, 460, 25])[place]
    orders = np.where(
        stage == "new", 1, 1 + rng.geometric(0.3, customers) * np.where(stage == "loyal", 3, 1)
    )
    recency = np.floor(rng.gamma(4, usual / 4))
    spend = np.round(orders * rng.lognormal(3.3, 0.7, customers), 2)
    clv = spend * rng.lognormal(-0.6, 0.4, customers) * (1.05 - p_inactive)
    expected = clv * 0.3
    reachable = np.array(
        [
            [0.3 + 2 * (to == item.id) if to in item.next else 0.0 for to in STAGES]
            for item in published.retail().stages
        ]
    )
    p_stage = rng.gamma(reachable[place] + 1e-9)
    p_stage /= p_stage.sum(axis=1, keepdims=True)
    day = np.datetime64(AS_OF.replace(tzinfo=None), "us")
    columns: dict[str, Any] = {
        "customer_id": [f"{number:05d}" for number in range(1, customers + 1)],
        "as_of": np.full(customers, day),
        "horizon_days": np.full(customers, 90),
        "data_cutoff": np.full(customers, day - np.timedelta64(1, "D")),
        "model_version": np.full(customers, "3f9c2b"),
        "method": np.full(customers, "blend"),
        "low_data": np.zeros(customers, dtype=bool),
        "state": state,
        "stage": stage,
        "stage_since": day - recency.astype("timedelta64[D]"),
        "stage_rule": np.full(customers, "overdue_ratio 2.7 is above 1.9 (at_risk_ratio)"),
        "next_stage": np.array(STAGES)[p_stage.argmax(axis=1)],
        **{f"p_stage_{name}": p_stage[:, code] for code, name in enumerate(STAGES)},
        "p_inactive": p_inactive,
        "churn_probability": np.where(active, p_inactive, np.nan),
        "churn_percentile": np.where(active, 100 * p_inactive, np.nan),
        "churn_band": np.where(
            active, np.array(["low", "medium", "high"])[np.digitize(p_inactive, [0.4, 0.7])], None
        ),
        "p_return": np.where(state == "lapsed", 1 - p_inactive, np.nan),
        "p_convert": np.full(customers, np.nan),
        "p_alive": 1 - 0.8 * p_inactive,
        "expected_orders": 1.4 * (1 - p_inactive),
        "next_order_date": np.where(
            p_inactive < 0.5, day.astype("datetime64[D]") + 40, np.datetime64("NaT")
        ),
        **{
            f"expected_spend{end}": expected * by
            for end, by in (("", 1), ("_low", 0.3), ("_high", 2.1))
        },
        **{f"clv{end}": clv * by for end, by in (("", 1), ("_low", 0.4), ("_high", 1.9))},
        "value_at_risk": np.where(active, p_inactive * clv / (1.05 - p_inactive), np.nan),
        "recency_days": recency,
        "tenure_days": recency + 60.0 * orders,
        "frequency": orders - 1,
        "monetary": np.where(orders > 1, spend / orders, np.nan),
        "orders": orders,
        "spend": spend,
        "rfm": np.full(customers, "543"),
        "rfm_segment": SEGMENTS[rng.choice(6, customers, p=[0.4, 0.1, 0.08, 0.16, 0.06, 0.2])],
        "reasons": [REASONS] * customers,
        "action": np.full(
            customers, "A reminder now, a better offer if it stays silent; the most valuable first."
        ),
        "clv_residual": np.full(customers, 12.5),
        "churn": np.full(customers, "inactivity"),
        "value_gone": 0.5 * clv,
        "value_if_kept": 2.0 * clv,
        "clv_by_year": [[float(value), 5.0, 4.0, 3.5] for value in clv],
        "risk_base": np.full(customers, -0.8),
        "risk_rest": np.full(customers, 0.1),
        "play": np.full(customers, None),
        "loss_per_week": np.where(active, 0.5, np.nan),
        "usual_gap_days": np.full(customers, 30.0),
        "days_overdue": np.full(customers, 5.0),
        "window_closes": np.full(customers, np.datetime64("NaT", "D")),
    }
    fields = score_schema.schema(STAGES)
    arrays = [
        pa.array(columns[f.name], pa.timestamp("us")).cast(f.type)
        if f.type == score_schema.INSTANT
        else pa.array(columns[f.name], f.type, from_pandas=True)
        for f in fields
    ]
    return pa.Table.from_arrays(arrays, schema=fields)


def replaced(scores: pa.Table, **columns: Any) -> pa.Table:
    """Return the scores with these columns anew; ``None`` makes a column null."""
    for name, values in columns.items():
        place, field = scores.schema.get_field_index(name), scores.schema.field(name)
        new = pa.nulls(len(scores), field.type) if values is None else pa.array(values, field.type)
        scores = scores.set_column(place, field, new)
    return scores


def made_evaluation(**parts: Any) -> Evaluation:
    """Return a test on a past date; ``parts`` replace some of it."""
    shares = np.linspace(0.05, 1, 20)
    spend = {
        "stagecast": ("stagecast (blend)", 12.31, 0.412, 211_400.0),
        "btyd": ("BG/NBD", 13.02, 0.398, 243_700.0),
    }
    evaluation = Evaluation(
        as_of="1998-04-02",
        until="1998-07-01",
        customers=23_570,
        base_rate=0.86,
        models=(
            ChurnFigures("stagecast", "stagecast (blend)", 0.2962, 0.842, 0.0897, 0.008, 1.16),
            ChurnFigures(
                "recency", "Days since the last order", 0.3405, 0.783, 0.1021, 0.011, 1.14
            ),
            ChurnFigures("bg_nbd", "BG/NBD", 0.3127, 0.826, 0.0954, 0.031, 1.15),
            ChurnFigures(
                "rfm_logistic", "Logistic regression on RFM", 0.3011, 0.838, 0.0911, 0.007, 1.15
            ),
        ),
        calibration=tuple(
            CalibrationGroup(predicted=p, observed=0.97 * p, customers=2357)
            for p in np.linspace(0.28, 1, 10)
        ),
        gains=tuple(GainsPoint(x, 1 - (1 - x) ** 1.25) for x in shares),
        next_stage=(
            StageFigures("stagecast", "stagecast", 0.4411, 0.009),
            StageFigures("markov", "Markov chain", 0.5127, 0.012),
        ),
        conversion=None,
        spend=tuple(
            SpendFigures(
                name=name,
                label=label,
                mae=mae,
                rank_correlation=rank,
                predicted_total=total,
                actual_total=218_900.0,
            )
            for name, (label, mae, rank, total) in spend.items()
        ),
        coverage=Coverage(expected_spend=0.91),
        grade="B",
        grade_sentence="Better than every simple method on the same past date.",
    )
    return replace(evaluation, **parts)


def made_summary(**parts: Any) -> Summary:
    """Return the summary of a run; ``parts`` replace some of it."""
    scheme = published.retail()
    summary = Summary(
        title="CDNOW: customers and what to do about them",
        as_of="1998-07-01",
        horizon_days=90,
        value_horizon_days=365,
        data_cutoff="1998-06-30T00:00:00Z",
        model_version="3f9c2b",
        method="blend",
        method_note=(
            "A blend of a customer-base model, two regressions and gradient-boosted trees."
        ),
        churn="inactivity",
        log={
            "rows_in": 69_659,
            "rows_loaded": 69_398,
            "rows_rejected": 6,
            "rows_duplicate": 255,
            "customers": 23_570,
            "first_event": "1997-01-01T00:00:00Z",
            "last_event": "1998-06-30T00:00:00Z",
            "one_time_buyers": 12_054,
            "rejected_by_reason": {"amount is not a number": 4, "timestamp is missing": 2},
            "warnings": ["80 purchases have an amount of 0."],
            "event_types": {"purchase": 69_398},
        },
        scheme=SchemeSummary(
            id=scheme.id,
            title=dict(scheme.title),
            stages=[
                {
                    "id": stage.id,
                    "title": dict(stage.title),
                    "meaning": dict(stage.meaning),
                    "action": dict(stage.action),
                    "state": stage.state,
                    "rule": [str(clause) for clause in stage.rule],
                }
                for stage in scheme.stages
            ],
            thresholds=THRESHOLDS,
            assumed=(),
        ),
        evaluation=made_evaluation(),
        blend=made_blend({"btyd": 0.22, "rfm": 0.28, "splines": 0.25, "trees": 0.25}),
        notes=("The last 90 days were kept for the test, then learned from as well.",),
        horizon_note=None,
        next_steps=("stagecast serve", "stagecast plan --budget 500"),
    )
    return replace(summary, **parts)


def made_blend(
    weights: dict[str, float], level: float = 0.0, drawn: float = 0.0, weighed_by: str | None = None
) -> Blend:
    return Blend(
        PoolCard(weights, level, drawn, weighed_by), (PastDate("1998-04-02", 23_570, 0.86),)
    )


THRESHOLDS = {
    "shop_gap_days": 62.5,
    "at_risk_ratio": 1.78,
    "sleeping_ratio": 3.8,
    "lost_after_days": None,
    "loyal_orders": 5,
    "loyal_spend": 173.16,
}


class Read(HTMLParser):
    """What a reader sees, and what a browser would fetch; every tag must be closed in order."""

    VOID = frozenset({"meta"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def read(scores: pa.Table, **parts: Any) -> Read:
    return Read(render_report(made_summary(**parts), scores))


@pytest.fixture(scope="module")
def scores() -> pa.Table:
    return made_scores(2_000)


@pytest.fixture(scope="module")
def html(scores) -> str:
    return render_report(made_summary(), scores)


def test_nothing_is_fetched_and_no_script_runs(html):
    page = Read(html)
    assert {tag for tag, _ in page.tags} & {
        "script",
        "link",
        "img",
        "image",
        "iframe",
        "object",
        "embed",
        "base",
    } == set()
    assert all(
        link.startswith("#")
        for name in ("href", "src", "xlink:href", "action")
        for link in page.values(name)
    )
    assert [
        name for _, attributes in page.tags for name in attributes if name.startswith("on")
    ] == []
    assert set(re.findall(r"https?://[^/\s\"']+", html)) <= {"http://www.w3.org"}
    assert "@import" not in html
    assert [
        target for target in re.findall(r"url\(([^)]*)\)", html) if not target.startswith("#")
    ] == []


def test_the_contents_lead_to_every_section_and_ids_are_unique(html):
    page = Read(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in page.values("href")} <= set(ids)
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert sections == ["facts", "todo", "stages", "trust", "made", "words", "next"]


def test_hostile_texts_are_shown_and_not_run(scores):
    sample = scores.slice(0, 50)
    ids = [*published.HOSTILE_IDS, *sample["customer_id"].to_pylist()[len(published.HOSTILE_IDS) :]]
    hostile = replaced(
        sample,
        customer_id=ids,
        state=["active"] * 50,
        stage=["at_risk"] * 50,
        value_at_risk=[1e6 - n for n in range(50)],
        rfm_segment=[SCRIPT] * 50,
        reasons=[[REASONS[0] | {"sentence": SCRIPT}]] * 50,
        action=[SCRIPT] * 50,
    )
    summary = made_summary()
    summary.scheme.stages[4]["title"] = {"en": f"{SCRIPT}\"'&"}
    log = summary.log | {
        "rejected_by_reason": {SCRIPT: 1},
        "event_types": {SCRIPT: 2},
        "warnings": [SCRIPT],
    }
    summary = replace(summary, log=log, title=SCRIPT, model_version=SCRIPT, notes=(SCRIPT,))
    html = render_report(summary, hostile)
    page = Read(html)
    assert "<script" not in html
    assert all(name in page.words for name in published.HOSTILE_IDS)
    assert page.text.count(SCRIPT) > 40


def test_amounts_are_told_and_what_is_to_check_stands_beside_the_customer():
    some_scores = made_scores(3, stages=ACTIVE)
    first = some_scores["customer_id"][0].as_py()
    amounts = {
        "purchases": 400,
        "total": 70_546.74,
        "median": 24.41,
        "largest": 59_030.0,
        "refunded": 120.0,
        "customers": [{"customer_id": first, "spend": 59_211.5, "share": 0.84, "purchases": 9}],
        "events": [
            {"customer_id": first, "timestamp": "2024-05-01T10:00:00Z", "amount": 59_030.0}
            | {"share": 0.836}
        ],
    }
    note = {"customer_id": first, "note": "the purchase was taken back 3 minutes later"}
    summary = made_summary()
    log = summary.log | {"amounts": amounts, "notes": [note], "currency": "EUR"}
    text = Read(render_report(replace(summary, log=log), some_scores)).text
    assert "Sum of all purchases €70,547" in text
    assert "Who weighs most in the money" in text
    assert text.count("To check: the purchase was taken back 3 minutes later.") == 1


def test_money_is_shown_in_the_currency_of_the_log(scores):
    amounts = {
        "total": 70_546.0,
        "median": 24.41,
        "largest": 59_030.0,
        "refunded": 120.0,
        "customers": [{"customer_id": "00001", "spend": 59_211.5, "share": 0.84, "purchases": 9}],
        "events": [
            {"customer_id": "00001", "timestamp": "2024-05-01T10:00:00Z", "amount": 59_030.0}
            | {"share": 0.836}
        ],
    }
    spends = {"code": "spend_mean.active", "feature": "spend_mean", "value": 25.0, "usual": 30.4}
    spends |= {"effect": 0.4, "direction": "raises", "label": None, "sentence": ""}
    scores = replaced(scores, reasons=[[spends]] * len(scores))
    rfm = RfmScales(spend=RfmScale((20.0, 53.76, 120.0, 1234.0)))
    log = made_summary().log | {"amounts": amounts}
    value = ValueEvaluation(
        as_of="1997-07-01",
        until="1998-07-01",
        customers=900,
        models=tuple(made_evaluation().spend or ()),
        tenths=(),
        coverage=0.9,
        grade="B",
        grade_sentence="Better.",
    )
    parts = {"rfm": rfm, "evaluation": made_evaluation(value=value)}
    plain = read(scores, log=log, **parts)
    unreturned = read(scores, log=log | {"amounts": {**amounts, "refunded": 0.0}}, **parts)
    assert "net of refunds" in plain.text
    assert "refund" not in unreturned.text.lower()
    pounds = read(scores, log=log | {"currency": "GBP"}, **parts)
    codes = read(scores, log=log | {"currency": "PLN"}, **parts)
    assert pounds.text.replace("£", "") == codes.text.replace(" PLN", "") == plain.text
    for text in (
        "Sum of all purchases £70,546",
        "Refunded £120",
        "Median purchase £24",
        "Largest purchase £59,030",
        "00001 : £59,212 net of refunds",
        "00001 : one purchase of £59,030 on 2024-05-01, 84% of all",
        "M, spent so far: 1 up to £20; 2 up to £53.76; 3 up to £120; 4 up to £1,234; 5 above.",
        "£218,900 was spent in that time",
        "£218,900 came since, counted like the value: later money a little less",
        "£12.31",
        "£211,400",
        "Because spends £25 an order (£30 is usual).",
        "and £173 spent",
    ):
        assert text in pounds.text, text
    for tile in ("is expected to be lost as active", "spend expected in the next 90 days"):
        assert re.search(rf"£[\d,]+ {tile}", pounds.text), tile
    # of each row of a table of groups, and each cell of the list: none is without its currency
    for row in re.findall(
        r'data-label="Val.*?</td>',
        render_report(replace(made_summary(), log=log | {"currency": "GBP"}), scores),
    ):
        assert re.search(r">(£[\d,.]+|–)<", row), row


def test_each_segment_and_each_score_of_rfm_is_explained(scores):
    scales = RfmScales(
        RfmScale((10.0, 40.0, 90.0, 200.0), smaller_is_better=True),
        RfmScale((1.0, 1.0, 1.0, 3.0)),
        RfmScale((20.0, 50.0, 120.0, 1234.0)),
    )
    page = read(scores, rfm=scales)
    assert "Hibernating R 1 or 2, F 1 or 2" in page.text
    assert (
        "R, time since the last order: 5 less than 10 days; 4 less than 40 days; 3 less than "
        "90 days; 2 less than 200 days; 1 longer ago." in page.text
    )
    assert "F, orders so far: 1 up to 1; 4 up to 3; 5 above." in page.text
    assert "M, spent so far: 1 up to 20; 2 up to 50; 3 up to 120; 4 up to 1,234; 5 above." in (
        page.text
    )


def test_the_same_input_gives_the_same_bytes_however_the_table_is_cut(scores, html, tmp_path):
    pieces = pa.concat_tables([scores.slice(0, 700), scores.slice(700, 1), scores.slice(701)])
    write_report(tmp_path / "report.html", made_summary(), pieces)
    assert (tmp_path / "report.html").read_bytes() == html.encode()


def test_the_headline_adds_up_and_the_few_who_hold_most_are_counted():
    four = replaced(
        made_scores(5, stages=ACTIVE),
        value_at_risk=[10.0, 600.0, 250.0, 100.0, 40.0],
        churn_probability=[0.1, 0.9, 0.8, 0.5, 0.9],
        churn_band=["low", "high", "high", "medium", "high"],
        expected_spend=[100.0, 200.0, 300.0, 400.0, 500.0],
        expected_orders=[1.0, 2.0, 3.0, 4.0, 10.4],
    )
    text = read(four).text
    assert "3 of 5 active customers (60%) are at high risk" in text
    # 600 + 250 of 1,000 are the first 80 %
    assert "2 of the active (40%) hold 80% of the value at risk" in text
    for tile in (
        "5 customers 5 active customers 3 of them are expected to place no order in the next 90"
        " days",
        "1,000 is expected to be lost as active customers leave",
        "1,500 spend expected in the next 90 days",
        "20 orders expected in the next 90 days",
    ):
        assert tile in re.sub(r"\s+", " ", text)


def test_the_first_twenty_are_those_with_most_value_at_risk_ties_by_id():
    value = [5.0] * 30
    value[17], value[23] = 9.0, 7.0
    page = read(replaced(made_scores(30, stages=ACTIVE), value_at_risk=value))
    shown = [word for word in page.words if re.fullmatch(r"0\d{4}", word)]
    assert shown == ["00018", "00024", *(f"{n:05d}" for n in range(1, 21) if n != 18)][:20]


def test_where_each_stage_goes_is_the_mean_of_its_customers():
    chances = {f"p_stage_{name}": [0.0, 0.0] for name in STAGES}
    chances |= {
        "p_stage_new": [0.5, 0.0],
        "p_stage_repeat": [0.5, 0.3],
        "p_stage_at_risk": [0.0, 0.7],
    }
    html = render_report(made_summary(), replaced(made_scores(2, stages=("new",)), **chances))
    matrix = html[html.index('<table class="matrix">') :].split("</table>")[0]
    assert re.findall(r">(\d+%|·)</td>", matrix) == ["25%", "40%", "35%"]


def test_the_best_of_each_measure_is_marked(html):
    best = re.findall(r"best: </span>([^<]*)<", html)
    who_leaves = ["0.2962", "0.842", "0.0897", "1.16", "0.007"]
    assert best == [*who_leaves, "0.4411", "0.009", "12.31", "0.412", "97%"]


def test_a_simple_method_that_does_better_has_the_star(scores):
    models = (
        ChurnFigures("stagecast", "stagecast", 0.40, None, 0.13, 0.02, None),
        ChurnFigures("recency", "Days since the last order", 0.38, None, 0.12, 0.02, None),
    )
    text = read(scores, evaluation=made_evaluation(models=models)).text
    assert "stagecast 0.4000 0.1300" in text
    assert "Days since the last order ★ best: 0.3800 ★ best: 0.1200" in text


@pytest.mark.parametrize(
    ("by", "sentences"),
    [
        (
            {"weighed_by": "later_date", "drawn": 0.0},
            ("set on a later window", "shifted by +0.20 in log-odds, to the level of the season"),
        ),
        (
            {"weighed_by": "other_customers", "drawn": 0.15},
            (
                "set on customers whom they had not learned from",
                "+0.20 in log-odds: +0.15 of it is half the way",
            ),
        ),
    ],
)
def test_the_report_says_what_judged_the_pool(
    scores: pa.Table, by: dict[str, Any], sentences: tuple[str, str]
) -> None:
    page = read(scores, blend=made_blend({"btyd": 0.6, "trees": 0.4}, 0.2, **by))
    for sentence in sentences:
        assert sentence in page.text
    alone = read(scores, blend=made_blend({"btyd": 1.0}, 0.2)).text
    assert "Weights were set" not in alone
    assert "weights were set" not in alone


def test_what_was_not_measured_is_said(scores):
    page = read(scores, evaluation=None, blend=None, method="btyd")
    assert "The log is too short or too small to hide a part of it" in page.text
    assert "No blend was trained: the method is customer-base model (BTYD) alone." in page.text
    assert "Log loss lower is better" not in page.text


@pytest.mark.parametrize(
    "parts",
    [
        {"spend": None, "coverage": None},
        {"coverage": None},
        {"gains": ()},
        {"models": (ChurnFigures("stagecast", "stagecast", 0.4, None, 0.1, 0.0, None),)},
        {"spend": (SpendFigures("stagecast", "stagecast", 1.0, None, 0.0, 0.0),)},
        {"conversion": ConversionFigures(5, 5, 3.0, None, 0.3, 0.4, 0.1)},
        {"conversion": ConversionFigures(5, 2, 1.5, 0.7, 0.3, 0.4, 0.1)},
    ],
)
def test_what_an_evaluation_lacks_leaves_no_trace(scores, parts):
    assert_no_leftovers(read(scores.slice(0, 20), evaluation=made_evaluation(**parts)))


def assert_no_leftovers(page: Read) -> None:
    assert re.findall(r"\b(nan|NaN|None|inf|Undefined)\b", page.text) == []


def test_without_amounts_money_is_left_out_and_the_reason_given(scores):
    bare = replaced(scores, **dict.fromkeys(MONEY))
    page = read(bare, evaluation=made_evaluation(spend=None, coverage=None))
    assert "The log has no amounts" in page.text
    for column in ("Value at risk", "spend expected", "Spent so far", "spent, and on"):
        place = page.text.find(column)
        assert place < 0, page.text[place - 100 : place + 100]
    at_stake = np.nan_to_num(bare["churn_probability"].to_numpy() * bare["orders"].to_numpy())
    shown = [word for word in page.words if re.fullmatch(r"0\d{4}", word)]
    assert shown[:3] == [bare["customer_id"][int(row)].as_py() for row in np.argsort(-at_stake)[:3]]
    assert_no_leftovers(page)


def test_members_who_order_nothing_are_ranked_by_the_chance_to_cancel(scores):
    none = np.zeros(scores.num_rows)
    nothing = {**dict.fromkeys(MONEY), "orders": none.astype(np.int64), "expected_orders": none}
    bare = replaced(scores, **nothing)
    page = read(bare, churn="cancellation")
    assert "likeliest to cancel in the next 90 days" in page.text
    for words in ("orders expected", "times their orders", "The next order is the day"):
        assert words not in page.text
    churn = np.nan_to_num(bare["churn_probability"].to_numpy())
    shown = [word for word in page.words if re.fullmatch(r"0\d{4}", word)]
    assert shown[:3] == [bare["customer_id"][int(row)].as_py() for row in np.argsort(-churn)[:3]]
    assert_no_leftovers(page)


def test_where_the_value_at_risk_is_not_known_the_list_says_what_it_is_ranked_by(scores):
    bare = replaced(scores, value_at_risk=None)
    page = read(bare)
    assert "the chance that they order nothing in the next 90 days, times their spend" in page.text
    assert "Risk × spend of a year" in page.text
    assert "most value at risk" not in page.text
    assert "90% range" not in page.text
    tenure = np.maximum(bare["tenure_days"].to_numpy(), 30)
    stake = np.nan_to_num(bare["churn_probability"].to_numpy() * bare["spend"].to_numpy() / tenure)
    shown = [word for word in page.words if re.fullmatch(r"0\d{4}", word)]
    assert shown[:3] == [bare["customer_id"][int(row)].as_py() for row in np.argsort(-stake)[:3]]


@pytest.mark.parametrize("share", [0.0, 0.0001])
def test_where_nobody_leaves_the_list_is_ranked_by_risk_times_value(scores, share):
    clv = scores["clv"].to_numpy()
    # the value at risk, if any, would rank customers the other way round
    bare = replaced(scores, value_at_risk=share * (clv.max() - clv))
    page = read(bare)
    assert "order nothing in the next 90 days, times the value expected within" in page.text
    assert "Risk × value" in page.text
    assert "most value at risk" not in page.text
    assert "hold 80%" not in page.text
    assert "90% range" in page.text
    stake = np.nan_to_num(bare["churn_probability"].to_numpy() * clv)
    shown = [word for word in page.words if re.fullmatch(r"0\d{4}", word)]
    assert shown[:3] == [bare["customer_id"][int(row)].as_py() for row in np.argsort(-stake)[:3]]


def test_with_nobody_active_no_churn_is_shown():
    page = read(made_scores(40, stages=("sleeping", "lost")))
    assert "Nobody is active on 1998-07-01, so there is no churn risk" in page.text
    assert "so there is no churn risk to show" in page.text
    assert_no_leftovers(page)


@pytest.mark.parametrize("customers", [0, 1])
def test_hardly_anybody_is_no_obstacle(customers):
    page = read(made_scores(customers, stages=("new",)))
    assert re.search(rf"\b{customers} customers? ", page.text)
    assert_no_leftovers(page)


def test_a_small_log_is_called_a_first_guess(scores):
    text = read(
        replaced(scores, low_data=[True] * len(scores)),
        method="btyd",
        method_note="Made by BG/NBD.",
    ).text
    assert "The log is small: take these numbers as a first guess. Made by BG/NBD." in text


@pytest.mark.parametrize(
    ("days", "said"),
    [(None, "Lost: nobody yet"), (730.0, "Lost: sleeping, and silent for more than 730 days")],
)
def test_thresholds_stand_in_words(scores, days, said):
    scheme = replace(
        made_summary().scheme,
        thresholds=THRESHOLDS | {"lost_after_days": days, "extra_ratio": 2.0},
    )
    text = read(scores, scheme=scheme).text
    assert said in text
    assert "Overdue: silent more than 1.78 times as long as is usual" in text
    assert "xtra" not in text, "no rule looks at it"


def test_a_report_says_why_nobody_sleeps(scores):
    scheme = replace(made_summary().scheme, thresholds=THRESHOLDS | {"sleeping_ratio": None})
    text = read(scores, scheme=scheme).text
    assert "Sleeping: nobody yet; however long a silence lasts" in text
    assert "Lost: nobody yet" in text


def test_an_assumed_gap_is_not_given_as_the_usual_one(scores):
    scheme = replace(
        made_summary().scheme,
        thresholds=THRESHOLDS | {"shop_gap_days": 60.0, "at_risk_ratio": 2.0},
        assumed=("at_risk_ratio", "shop_gap_days"),
    )
    text = read(scores, scheme=scheme).text
    assert "The usual gap between two orders is not known" in text
    assert "60 days" not in text
    assert "more than 2 times the usual gap, which is assumed: the log has too few gaps" in text


def test_a_horizon_shorter_than_the_usual_gap_is_said_first(scores):
    note = "the usual gap is 45 days, more than the horizon of 30; --horizon 91d would hold two"
    text = read(scores, horizon_note=note).text
    heading = text.rindex("In short")
    assert text[heading:].startswith(f"In short T{note[1:]}. ")
    assert "would hold two" not in read(scores).text


def calls_of(scores: pa.Table) -> tuple[str, int]:
    """Return the report, and how many functions were called to render it."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        report = render_report(made_summary(), scores)
    finally:
        sys.setprofile(None)
    return report, calls


def test_neither_the_file_nor_the_work_grows_with_the_customers(html, scores):
    _, usual = calls_of(scores)
    report, calls = calls_of(made_scores(25_000))
    assert calls < 1.1 * usual
    assert len(report.encode()) < 1.1 * len(html.encode()) < 400_000


def concentrated(value: list[float]) -> pa.Table:
    rows = len(value)
    return replaced(
        made_scores(rows, stages=ACTIVE),
        value_at_risk=value,
        churn_probability=[0.9] * rows,
        churn_band=["high"] * rows,
    )


def test_only_a_small_share_that_holds_most_is_where_to_start():
    few = read(concentrated([1000.0] * 2 + [1.0] * 18))
    assert "2 of the active (10%) hold 80% of the value at risk: start there." in few.text
    even = read(concentrated([10.0] * 20))
    assert "16 of the active (80%) hold 80% of the value at risk: it is spread" in even.text
    assert "start there" not in even.text
    item = read(concentrated([1000.0] + [1.0] * 9))
    assert "1 of the active (10%) holds 80% of the value at risk: start there." in item.text


def test_nobody_at_high_risk_is_said_in_words(scores):
    calm = replaced(scores, churn_band=["low"] * len(scores))
    assert re.search(r"Nobody of the [\d,]+ active customers is at high risk", read(calm).text)


def test_one_time_buyers_are_a_share(scores):
    log = made_summary().log | {"one_time_buyers": 0.29}
    assert "Ordered once only 29% of the buyers" in read(scores, log=log).text


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tehran", "Asia/Kolkata"])
def test_days_of_a_report_are_those_of_the_shop(zone: str) -> None:
    def instant(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)

    log = {
        **made_summary().log,
        "zone": zone,
        "first_event": iso(instant("1997-01-03")),
        "last_event": iso(instant("1998-06-27T23:59:59")),
    }
    since = [instant("1998-05-11")] * 30
    page = read(
        replaced(made_scores(30), stage_since=since),
        log=log,
        data_cutoff=iso(instant("1998-06-28T23:59:59")),
    ).text
    assert "As of 1998-07-01 · next 90 days · events up to 1998-06-28 ·" in page
    assert "rows were loaded, from 1997-01-03 to 1998-06-27" in page
    assert "since 1998-05-11" in page
    assert "since 1998-05-10" not in page


def test_an_order_of_a_later_year_is_not_expected():
    days = [np.datetime64("1999-08-01"), np.datetime64("1998-09-01"), np.datetime64("NaT")]
    few = replaced(
        made_scores(3, stages=ACTIVE),
        next_order_date=np.array(days, dtype="datetime64[D]"),
        value_at_risk=[3.0, 2.0, 1.0],
    )
    text = read(few).text
    assert "1998-09-01" in text
    assert "1999-08-01" not in text
    assert text.count("no order expected within a year") == 2


def test_at_risk_is_neither_a_stage_nor_a_segment(scores):
    text = read(scores).text
    assert "Slipping away (at risk) R 1 or 2, F 3 or 4" in text or "slipping" not in text.lower()
    assert "Overdue" in text
    assert "At risk: silent" not in text


def test_the_note_on_the_method_is_a_sentence(scores):
    page = read(scores, method_note="customer-base models alone: too little to learn more from")
    assert "Customer-base models alone: too little to learn more from." in page.text
