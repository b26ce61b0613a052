"""Pages and sentences of the API in the language that was asked for."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest

from stagecast.serving.store.channels import store_channels
from stagecast.serving.store.evidence import data_of_report, store_evidence
from stagecast.serving.store.monitor_tables import store_monitoring
from tests.serving import published
from tests.serving.http.test_api_channels import body
from tests.serving.pages.test_drift_on_trust import metrics

NAMES = {
    "stagecast",
    "retail",
    "API",
    "CSV",
    "XLSX",
    "RFM",
    "AUC",
    "BTYD",
    "JavaScript",
    "English",
    "SHA-256",
}
FILES = re.compile(
    r"data-report\.json|rejected\.parquet|stagecast plan|--publish|--horizon"
    r"|channel, from, to|channel، from، to|\bcost\b"
)
VOID = {"img", "input", "meta", "link", "br", "rect", "line", "circle", "path", "polyline"}
SPOKEN = ("title", "aria-label", "placeholder", "alt")


class Said(HTMLParser):
    """What a reader sees or hears of a page, but ids, code and what is marked as English."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.texts += [value for name in SPOKEN if (value := values.get(name))]
        if tag not in VOID:
            skipped = (
                tag in ("code", "script", "style", "bdi", "time") or values.get("lang") == "en"
            )
            self.open.append((tag, skipped))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(skipped for _, skipped in self.open):
            self.texts.append(data)

    def english(self, ids: set[str]) -> set[str]:
        left = set()
        for text in self.texts:
            for id_ in sorted(ids, key=len, reverse=True):
                text = text.replace(id_, "")
            words = re.findall(r"[A-Za-z][\w'-]+", FILES.sub("", text))
            left |= {word for word in words if word not in NAMES}
        return left


def rows():
    """Return scores whose actions are those of the scheme, as a run has them."""
    action = {stage.id: stage.action["en"] for stage in published.retail().stages}
    made = [
        {**row, "action": action[row["stage"]], "model_version": "4f0c2"}
        for row in published.scores(60).to_pylist()
    ]
    for row in made:
        for reason in row["reasons"]:
            reason["code"] = f"{reason['feature']}.own"
    for row in made[:10]:
        row["play"] = "loyal_going_quiet"
    return made


CARD = {
    "evaluation": {
        "grade": "B",
        "grade_sentence": "Better than every baseline: the log loss on the 4,009 active is 1.6% "
        "below that of logistic regression on RFM, the best of the others, beyond chance.",
        "as_of": "1997-10-01T00:00:00Z",
        "until": "1998-01-01T00:00:00Z",
        "customers": 5_000,
        "base_rate": 0.4,
        "models": [
            {"name": name, "label": label, "log_loss": 0.3, "auc": 0.8, "brier": 0.1}
            | {"calibration_error": 0.01, "lift_10": 1.1}
            for name, label in (("stagecast", "stagecast (blend)"), ("recency", "recency rule"))
        ],
        "calibration": [{"predicted": 0.3, "observed": 0.31, "customers": 500}],
        "gains": [{"share_contacted": 0.1, "share_of_churners": 0.2}],
        "next_stage": [
            {"name": "markov", "label": "Markov chain", "log_loss": 0.5, "calibration_error": 0.1}
        ],
    },
    "notes": [
        "No silence in this log is long enough to call a customer lost (chance of an order within "
        "a year below 5 %; upper 95 % bound, from at least 30 silences): sleeping and lost cannot "
        "be told apart yet."
    ],
    "horizon_note": "the usual gap between purchase days of a customer is 62 days, more than half "
    "the horizon of 90: some who stay buy later; --horizon 126d would hold two",
    "blend": {"weights": {"btyd": 0.4, "trees": 0.6}, "dates": []},
}
DATA = {
    "rows_in": 200, "rows_loaded": 150, "rows_rejected": 50, "rows_duplicate": 2,
    "first_event": "1997-01-01", "last_event": "1997-12-31",
    "rejected_by_reason": {"missing_customer": 50}, "flags": {},
    "event_types": {"purchase": 140, "refund": 10},
}  # fmt: skip


@pytest.fixture
def filled(web, store):
    run_id = published.put(store, published.table(rows()))
    store_evidence(store.engine, run_id, {"card": CARD, "data": data_of_report(DATA)})
    store_channels(store.engine, run_id, "channel", body())
    store_monitoring(store.engine, "9c1f7", published.AS_OF, metrics())
    plan = {"name": "p-1", "contacts": 10, "holdout": 0.2}
    assert web.post_text("/v1/plans", json.dumps(plan)).status_code == 201
    return web


LATIN_COMMA = re.compile(r"[\u0600-\u06ff\u200c»][)%]? ?[,;]|[,;] ?[\u0600-\u06ff«]")
"""A comma or semicolon of Latin script beside a Persian word or digit."""


@pytest.mark.parametrize("language", ["ru", "fa"])
def test_no_page_shows_an_english_leftover_or_a_raw_key(filled, language) -> None:
    of_the_log = {"mail", "search", "channel"}
    ids = {row["customer_id"] for row in rows()} | {"p-1", "4f0c2", "9c1f7"} | of_the_log
    places = (
        "/",
        "/customers",
        "/customers/c0001",
        "/plans",
        "/plans/p-1",
        "/results",
        "/channels",
        "/trust",
        "/plans/new?contacts=10",
        "/customers?q=77",
        "/nowhere",
        "/customers?state=lapsed&column=rfm_segment&column=play&column=action",
    )
    for place in places:
        answer = filled.get(place, headers={"accept": "text/html", "accept-language": language})
        assert answer.headers["content-language"] == language
        direction = "rtl" if language == "fa" else "ltr"
        assert f'<html lang="{language}" dir="{direction}"' in answer.text
        assert '<bdi lang="en"' not in answer.text, place
        assert Said(answer.text).english(ids) == set(), place
        if language == "fa":
            assert LATIN_COMMA.findall(unescape(answer.text)) == [], place


@pytest.mark.slow
def test_the_address_goes_before_the_cookie_and_the_cookie_before_the_browser(filled) -> None:
    def language(place, **headers):
        return filled.get(place, headers=headers).headers["content-language"]

    browser = {"accept-language": "de, fa;q=0.5, en;q=0.4"}
    assert language("/") == "en"
    assert language("/", **browser) == "fa"
    assert language("/", cookie="lang=ru", **browser) == "ru"
    assert language("/?lang=en", cookie="lang=ru", **browser) == "en"
    assert language("/?lang=xx", cookie="lang=<b>", **browser) == "fa"


def test_a_choice_is_remembered_and_the_switch_keeps_the_filters_of_the_page(filled) -> None:
    answer = filled.get("/customers?stage=loyal&lang=fa&digits=latin")
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.split(";")[0] for cookie in cookies] == ["lang=fa", "digits=latin"]
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)
    assert 'href="/customers?stage=loyal&amp;lang=ru"' in answer.text
    assert "set-cookie" not in filled.get("/customers?lang=xx").headers
    assert "set-cookie" not in filled.get("/v1/customers?lang=fa").headers


def test_persian_digits_and_jalali_days_are_a_choice(filled) -> None:
    day = rows()[0]["as_of"]
    persian = filled.get("/?lang=fa").text
    latin = filled.get("/?lang=fa&digits=latin&calendar=gregorian").text
    assert f"{day:%Y/%m/%d}" in latin
    assert f"{day:%Y/%m/%d}" not in persian
    assert re.search("[۰-۹]", persian)
    assert not re.search("[۰-۹]", latin.replace("رقم ۱۲۳", ""))


def test_the_api_says_reasons_in_the_language_asked_for_and_problems_in_english(filled) -> None:
    def sentences(place, **headers):
        customers = filled.get(place, headers=headers).json()["customers"]
        return [reason["sentence"] for score in customers for reason in score["reasons"]]

    english = sentences("/v1/customers")
    for asked in (
        sentences("/v1/customers?lang=ru"),
        sentences("/v1/customers", **{"accept-language": "ru"}),
    ):
        assert len(asked) == len(english)
        assert all(re.search("[а-я]", text) for text in asked)
    refused = filled.get("/v1/customers?stage=royal&lang=ru").json()
    assert refused["detail"].startswith("query.stage: no such stage.")
