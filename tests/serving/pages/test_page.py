"""The pages: shareable links, hostile ids, a list that leads on, words where a colour would not
do.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from tests.serving import published, web

HTML = {"accept": "text/html"}


class Found(HTMLParser):
    """Links, rows, fields, labels and texts of a page; every tag must be closed in order."""

    VOID = frozenset({"meta", "link", "input", "img", "path", "rect", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    @property
    def customers(self) -> list[str]:
        return [a["href"] for a in self.all("a") if (a["href"] or "").startswith("/customers/")]


@pytest.fixture(scope="module")
def scored():
    return published.scores(130, extra=published.HOSTILE_IDS)


@pytest.fixture(scope="module")
def site(tmp_path_factory, scored):
    folder = tmp_path_factory.mktemp("page")
    store = published.open_store(folder, scored)
    with web.client(web.app_with(folder, store=store)) as client:
        yield client
    store.close()


def see(site, path: str, status: int = 200) -> Found:
    answer = site.get(path, headers=HTML)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Found(answer.text)


def test_the_next_links_lead_through_the_whole_list_once(site, scored):
    path, observed, pages = "/customers", [], 0
    while path:
        page = see(site, path)
        observed += page.customers
        pages += 1
        path = next((a["href"] for a in page.all("a") if a.get("rel") == "next"), None)
    assert pages == 3
    assert len(observed) == len(set(observed)) == scored.num_rows


def test_the_customers_of_most_value_at_risk_stand_first_with_their_facts(site, scored):
    first = max(
        (r for r in scored.to_pylist() if r["value_at_risk"] is not None),
        key=lambda r: (r["value_at_risk"], [-ord(letter) for letter in r["customer_id"]]),
    )
    page = see(site, "/customers")
    assert page.customers[0] == f"/customers/{quote(first['customer_id'])}"
    for words in (
        first["reasons"][0]["sentence"],
        first["action"],
        f"since {first['stage_since']:%Y-%m-%d}",
    ):
        assert words in page.text
    assert "1–50 of 138 customers" in page.text
    assert (
        "As of 1998-01-01 · next 90 days · events up to 1997-12-31 · model retail-19980101"
        in page.text
    )


@pytest.mark.parametrize("name", published.HOSTILE_IDS)
def test_a_hostile_id_is_only_text_and_its_link_finds_it(site, name):
    listed = site.get("/customers", params={"q": name}, headers=HTML).text
    assert "<script>alert" not in listed
    page = Found(listed)
    assert len(page.customers) == 1
    own = see(site, page.customers[0])
    assert name in own.text
    assert not [a for a in own.all("script") if a.get("src") != "/static/stagecast.js"]


@pytest.mark.parametrize(
    "query",
    [
        "stage=loyal&stage=at_risk&sort=-clv",
        "band=high&min_value=12.5",
        "state=lapsed&q=c00",
        "sort=customer_id",
    ],
)
def test_a_link_can_be_shared_and_the_form_shows_what_it_asks(site, query):
    page = see(site, f"/customers?{query}")
    asked = parse_qs(query)
    shown: dict[str, list[str]] = {}
    select, form = "", ""
    for tag, attributes in page.tags:
        if tag == "form":
            form = attributes.get("aria-label") or ""
        elif form != "Filters":
            continue
        elif tag == "select":
            select = attributes["name"] or ""
        elif tag == "option" and "selected" in attributes and attributes["value"]:
            shown.setdefault(select, []).append(attributes["value"])
        elif tag == "input" and attributes.get("value"):
            shown.setdefault(attributes["name"] or "", []).append(attributes["value"] or "")
    assert shown == asked
    csv_link = next(a["href"] for a in page.all("a") if "download" in a)
    assert {**parse_qs(urlsplit(csv_link).query), **asked} == parse_qs(urlsplit(csv_link).query)
    assert site.get(csv_link).headers["content-type"].startswith("text/csv")


def test_the_form_with_all_fields_empty_is_the_whole_list(site):
    page = see(site, "/customers?stage=&band=&state=&min_value=&q=")
    assert "of 138 customers" in page.text


def test_a_column_head_sorts_and_the_next_click_turns_it_around(site):
    page = see(site, "/customers?band=high")
    head = next(a for a in page.all("a") if a.get("href") == "/customers?band=high&sort=-clv")
    turned = see(site, head["href"])
    assert [a.get("aria-sort") for a in turned.all("th") if a.get("aria-sort")] == ["descending"]
    assert "/customers?band=high&sort=clv" in [a["href"] for a in turned.all("a")]


def test_the_lapsed_are_ranked_by_what_could_be_won_back(site, scored):
    page = see(site, "/customers?state=lapsed")
    lapsed = [row for row in scored.to_pylist() if row["state"] == "lapsed"]
    ranked = sorted(lapsed, key=lambda r: (-r["value_gone"] * r["p_return"], r["customer_id"]))
    shown = [unquote(link.removeprefix("/customers/")) for link in page.customers]
    assert shown[:10] == [row["customer_id"] for row in ranked[:10]]
    heads = " ".join(page.text.split())
    assert "Value gone" in heads
    assert "Ranked by May return" in heads  # the caption, for those who cannot see the order


def test_the_stages_show_their_totals_and_lead_to_their_list(site, scored):
    page = see(site, "/customers")
    rows = scored.to_pylist()
    for stage in published.STAGES:
        assert f"/customers?stage={stage}" in [a["href"] for a in page.all("a")]
        listed = see(site, f"/customers?stage={stage}")
        many = sum(row["stage"] == stage for row in rows)
        assert len(listed.customers) == min(many, 50)
        assert [a["href"] for a in listed.all("a") if a.get("aria-current") == "true"] == [
            f"/customers?stage={stage}"
        ]


def test_a_page_left_open_over_a_publication_shows_the_new_list(tmp_path):
    store = published.open_store(tmp_path, published.scores(60))
    with web.client(web.app_with(tmp_path, store=store)) as site:
        onward = next(a["href"] for a in see(site, "/customers").all("a") if a.get("rel") == "next")
        published.publish(store, published.scores(70, seed=8))
        page = see(site, onward)
        assert "New scores were published" in page.text
        assert "1–50 of 70 customers" in page.text
    store.close()


def test_a_horizon_shorter_than_the_usual_gap_is_said_before_the_list(tmp_path, scored):
    note = "the usual gap is 120 days, more than the horizon of 90; --horizon 245d would hold two"
    store = published.open_store(tmp_path, scored)
    version = store.current_run().model_version
    for model_version, says in ((version, True), ("another", False)):
        scorer = web.FakeScorer()
        scorer.model_version = model_version
        scorer.card = {**scorer.card, "horizon_note": note}
        with web.client(web.app_with(tmp_path, scorer=scorer, store=store)) as client:
            text = see(client, "/customers").text
        assert (f"T{note[1:]}." in text) == says
    store.close()


def test_every_field_has_a_label_and_every_head_a_scope(site):
    for path in (
        "/",
        "/customers",
        "/customers?stage=loyal&stage=new",
        "/customers/c0001",
        "/docs",
    ):
        page = see(site, path)
        assert page.all("html")[0]["lang"] == "en"
        assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
        assert not [a for a in page.all("img") if "alt" not in a]
    text = site.get("/customers", headers=HTML).text
    fields = re.findall(r"<(?:select|input)\b(?![^>]*hidden)", text)
    assert len(fields) == len(re.findall(r"<label>", text))


def test_a_band_is_a_word_and_a_shape_besides_its_colour(site):
    text = site.get("/customers?band=high", headers=HTML).text
    assert text.count('class="band band-high"') == len(Found(text).customers)
    assert re.search(r'<span class="band band-high"><svg.*?</svg>high</span>', text, re.DOTALL)


def test_one_customer_shows_all_there_is(site, scored):
    row = next(r for r in scored.to_pylist() if r["churn_probability"] is not None)
    page = see(site, f"/customers/{row['customer_id']}")
    for words in (
        "The silence is 2.7 times the expected gap (more than 1.9).",
        row["action"],
        *(reason["sentence"] for reason in row["reasons"]),
        "1998-01-01",
    ):
        assert words in page.text
    assert "no purchase within 90 days" in page.text
    bars = [float(a["width"] or 0) for a in page.all("rect") if a.get("class") == "fill"]
    assert bars == pytest.approx(
        [100 * row[f"p_stage_{stage}"] for stage in published.STAGES], abs=0.06
    )


def test_the_pages_need_no_inline_style_or_script(site):
    for path in ("/", "/customers", "/customers/c0001", "/docs"):
        text = site.get(path, headers=HTML).text
        assert "style=" not in text
        assert not re.search(r"\son\w+=", text)
        assert re.findall(r"<script\b[^>]*>", text) == ['<script src="/static/stagecast.js" defer>']


def test_nothing_published_says_what_to_run(tmp_path):
    with web.client(web.app_with(tmp_path)) as site:
        page = see(site, "/customers")
        assert "stagecast run EVENTS.csv --out DIR --publish" in page.text
        assert str(tmp_path / "stagecast.db") in page.text


def test_no_match_leads_back_to_everybody(site):
    page = see(site, "/customers?q=nobody")
    assert "No customer passes these filters." in page.text
    assert page.customers == []


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/customers?stage=nope", 422, "no such stage"),
        ("/customers?min_value=abc", 422, "valid number"),
        ("/customers?band=<script>", 422, "'low', 'medium' or 'high'"),
        ("/customers?sort=<script>alert(1)</script>", 422, "is no column to sort by"),
        ("/customers?nonsense=1", 422, "no such parameter"),
        ("/customers/nobody", 404, "no published score of customer “nobody”"),
        ("/nope", 404, "there is nothing at this path"),
    ],
)
def test_errors_are_pages_that_lead_back(site, path, status, says):
    page = see(site, path, status)
    assert says in page.text
    assert "/" in [a["href"] for a in page.all("a")]
    assert len(page.all("script")) == 1
