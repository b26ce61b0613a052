"""`stages`, `report` and `leads` as people call them: what they write, what they print, and how
they fail.
"""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.stages.scheme_files import known_schemes, load_scheme
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.store.comparisons import stored_comparisons
from stagecast.serving.store.store import Store
from tests.serving.calling import Stagecast, call_in
from tests.training.made import day, simulated_rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two years with visits, enquiries, carts, reviews, advertisements and what serving
    cost.
    """
    random = np.random.default_rng(5)
    rows = [
        [name, at.isoformat(), kind, amount, "search"]
        for name, at, kind, amount in simulated_rows(250, 700, 5)
    ]
    for name in sorted({row[0] for row in rows}):
        for kind, share in (("enquiry", 0.5), ("cart", 0.3), ("review", 0.2), ("cost", 0.9)):
            if random.random() < share:
                amount = 4.0 if kind == "cost" else None
                rows.append(
                    [name, day(float(random.uniform(0, 690))).isoformat(), kind, amount, "search"]
                )
    for k in range(150):
        at = float(random.uniform(0, 650))
        origin = ["email", "fair"][k % 2]
        rows.append([f"l{k:03d}", day(at).isoformat(), "enquiry", None, origin])
        if random.random() < (0.6 if origin == "fair" else 0.1):
            rows.append([f"l{k:03d}", day(at + 5).isoformat(), "purchase", 20.0, origin])
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "event", "amount", "channel"])
    folder = tmp_path_factory.mktemp("shop")
    frame.to_csv(folder / "shop.csv", index=False)
    people = pd.DataFrame({"customer_id": sorted(set(frame["customer_id"]))})
    people["size"] = [
        "large" if name.startswith("l") and int(name[1:]) % 3 == 0 else "small"
        for name in people["customer_id"]
    ]
    people.to_csv(folder / "people.csv", index=False)
    return folder


PEOPLE = ("--customers", "people.csv", "--known-at-start", "size")
LEARNED = ("shop.csv", "--as-of", "2021-08-01", *PEOPLE, "--horizon", "150d")


@pytest.fixture(scope="module")
def learned(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log, and a run that knew the size of each customer."""
    home = tmp_path_factory.mktemp("learned")
    for name in ("shop.csv", "people.csv"):
        shutil.copy(shop / name, home)
    call_in(home, "run", *LEARNED, "--out", "out", "--no-track")
    return home


def test_the_list_shows_every_scheme_in_its_own_language(stagecast: Stagecast) -> None:
    result = stagecast("stages", "--list")
    assert result.code == 0
    for name in known_schemes():
        scheme = load_scheme(name)
        assert f"{name}: {scheme.title[scheme.language]}" in result.out
        for stage in scheme.stages:
            assert all(title in result.out for title in stage.title.values())
    item = stagecast("stages", "--list", "--stages", "clm5").out
    assert "Заинтересованность" in item
    assert "Подход" not in item
    actual = json.loads(stagecast("stages", "--list", "--json").out)
    assert [scheme["id"] for scheme in actual] == list(known_schemes())


@pytest.mark.slow
@pytest.mark.parametrize("name", known_schemes())
def test_every_scheme_runs_on_any_log(stagecast: Stagecast, shop: Path, name: str) -> None:
    result = stagecast(
        "stages", shop / "shop.csv", "--stages", name, "--out", "s.parquet", "--history", "h.csv"
    )
    assert result.code == 0, result.err
    stages, history = pq.read_table("s.parquet").to_pandas(), pd.read_csv("h.csv")
    assert set(stages["stage"]) <= set(load_scheme(name).ids)
    assert stages["customer_id"].is_unique
    open_spells = history[history["to"].isna()].set_index("customer_id")
    stages = stages.set_index("customer_id")
    assert open_spells.index.is_unique
    assert (open_spells["stage"] == stages["stage"].loc[open_spells.index]).all()
    assert len(open_spells) == len(stages)
    assert history["rule"].notna().all()
    # spells of a customer follow each other without a gap
    same = history["customer_id"].shift(-1) == history["customer_id"]
    assert (history["to"][same] == history["from"].shift(-1)[same]).all()
    extra = {"reach5": ["stage_group"], "crm5": ["lead_points", "lead_grade"]}.get(name, [])
    assert list(stages.columns) == ["stage", "stage_since", "stage_rule", *extra]


def test_leads_have_grades_and_buyers_have_none(stagecast: Stagecast, shop: Path) -> None:
    assert (
        stagecast("stages", shop / "shop.csv", "--stages", "crm5", "--out", "s.parquet").code == 0
    )
    actual = pq.read_table("s.parquet").to_pandas()
    prospects = actual["stage"].isin(["approach", "purchase"])
    assert actual["lead_grade"][prospects].isin(["none", "MQL", "SQL"]).all()
    assert actual["lead_points"][prospects].max() > 0
    assert actual["lead_grade"][~prospects].isna().all()


@pytest.mark.slow
def test_one_customer_is_explained(stagecast: Stagecast, shop: Path) -> None:
    result = stagecast(
        "stages", shop / "shop.csv", "--stages", "client7", "--explain", "c00001", "--json"
    )
    report = json.loads(result.out)["explained"]
    assert (
        stagecast(
            "stages", shop / "shop.csv", "--stages", "client7", "--out", "s.parquet", "--json"
        ).code
        == 0
    )
    row = pq.read_table("s.parquet").to_pandas().set_index("customer_id").loc["c00001"]
    assert (report["stage"], report["rule"]) == (row["stage"], row["stage_rule"])
    assert report["history"][-1]["stage"] == report["stage"]
    assert report["history"][-1]["from"] == report["since"]
    words = stagecast("stages", shop / "shop.csv", "--stages", "client7", "--explain", "c00001").out
    for part in (report["title"]["en"], report["since"], report["rule"], report["action"]):
        assert part in words
    wrong = stagecast("stages", shop / "shop.csv", "--explain", "c0001")
    assert (wrong.code, "Did you mean 'c0" in wrong.err) == (2, True)


def test_thresholds_can_be_pinned(stagecast: Stagecast, shop: Path) -> None:
    log = shop / "shop.csv"
    result = stagecast(
        "stages",
        log,
        "--out",
        "s.csv",
        "--pin",
        "at_risk_ratio=1.25",
        "--pin",
        "loyal_orders=9",
        "--json",
    )
    actual = json.loads(result.out)["thresholds"]
    assert (actual["at_risk_ratio"], actual["loyal_orders"]) == (1.25, 9.0)
    Path("stagecast.toml").write_text('pin = ["at_risk_ratio=1.5"]\n')
    assert (
        json.loads(stagecast("stages", log, "--out", "s.csv", "--json").out)["thresholds"][
            "at_risk_ratio"
        ]
        == 1.5
    )
    assert "at_risk_ratio 1.5 (pinned)" in stagecast("stages", log, "--out", "s.csv").out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "say what is wanted: --out FILE, --history FILE, --explain CUSTOMER or --list"),
        (("--pin", "at_risk=2", "--out", "s.csv"), "'at_risk' is no threshold"),
        (
            ("--pin", "at_risk_ratio", "--out", "s.csv"),
            "has no value; write it like at_risk_ratio=2",
        ),
        (("--pin", "at_risk_ratio=two", "--out", "s.csv"), "'two' is no number"),
        (("--stages", "clm6", "--out", "s.csv"), "Did you mean 'clm5'?"),
        (("--history", "h.xlsx"), "--history h.xlsx: tables are written as .parquet or .csv"),
        (("--out", "s.csv", "--history", "h.xlsx"), "--history h.xlsx"),
        (("--out", "same.csv", "--history", "same.csv"), "--history and --out are both same.csv"),
    ],
)
def test_wrong_use_of_stages_is_said(
    stagecast: Stagecast, shop: Path, args: tuple[str, ...], message: str
) -> None:
    result = stagecast("stages", shop / "shop.csv", *args)
    assert (result.code, message in result.err) == (2, True), result.err
    assert not list(Path.cwd().iterdir())


def test_the_log_is_not_written_over(stagecast: Stagecast, shop: Path) -> None:
    log = shop / "shop.csv"
    before = log.read_bytes()
    assert stagecast("stages", log, "--history", log).code == 2
    assert log.read_bytes() == before


def test_stages_that_cannot_be_told_apart_are_said(stagecast: Stagecast) -> None:
    Path("log.csv").write_text(
        "customer_id,timestamp\n" + "".join(f"a,2024-01-{d:02d}\n" for d in range(1, 20, 3))
    )
    result = stagecast("stages", "log.csv", "--stages", "ltv5", "--out", "s.csv")
    assert "'Advocate' cannot be told apart from 'Loyalty' in this log" in result.out
    merged = json.loads(
        stagecast("stages", "log.csv", "--stages", "ltv5", "--out", "s.csv", "--json").out
    )["merged"]
    assert merged == {"interest": ["attraction"], "advocate": ["loyalty"]}


# --- report ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["retail", "clm5"])
def test_a_report_has_its_page_and_its_tables(stagecast: Stagecast, shop: Path, name: str) -> None:
    result = stagecast(
        *(
            "report",
            shop / "shop.csv",
            "--stages",
            name,
            "--out",
            "out",
            "--before-after",
            "2021-01-01",
            "--json",
        )
    )
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["before_after"]["date"] == "2021-01-01"
    assert any(
        measure["id"] == "cost_per_customer" for measure in report["before_after"]["measures"]
    )
    names = {path.name for path in Path("out/flows").iterdir()}
    assert names == {
        *(
            f"{t}.parquet"
            for t in (
                "stock",
                "transitions",
                "spells",
                "time_to_stage",
                "repeat",
                "pareto",
                "cohorts",
            )
        ),
        *("moved.parquet", "flows.json", "before_after.json", "before_after.parquet"),
    }
    page = Path("out/report.html").read_text("utf-8")
    assert page.count('<svg role="img"') == 6
    for text in (report["before_after"]["headline"], "How customers move", "Cohorts"):
        assert text in page
    for stage in load_scheme(name).stages:
        assert stage.title["en"] in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    stock = pq.read_table("out/flows/stock.parquet").to_pandas()
    last = stock[stock["period_start"] == stock["period_start"].max()]
    assert last["customers"].sum() == report["customers"]
    assert stagecast("report", shop / "shop.csv", "--out", "out").code == 2
    assert stagecast("report", shop / "shop.csv", "--out", "out", "--force").code == 0
    assert not Path("out/flows/before_after.json").exists()


@pytest.mark.slow
def test_a_comparison_that_is_published_is_what_the_store_holds(
    stagecast: Stagecast, shop: Path
) -> None:
    def report(*more: str) -> str:
        command = ("report", shop / "shop.csv", "--out", "out", "--force")
        result = stagecast(*command, "--publish", "--store", "kept.db", *more)
        assert result.code == 0, result.err
        return result.out

    assert "Results" not in report()
    assert not Path("kept.db").exists()  # there was nothing to publish
    assert "the comparison is on the page Results" in report("--before-after", "2021-01-01")
    told = json.loads(report("--before-after", "2021-02-01", "--json"))
    assert told["published"] is True
    store = Store.open("sqlite:///kept.db")
    stored = stored_comparisons(store.engine)
    store.close()
    assert [each["date"] for each in stored] == ["2021-02-01", "2021-01-01"]
    written = json.loads(Path("out/flows/before_after.json").read_text("utf-8"))
    assert {name: stored[0][name] for name in written} == written == told["before_after"]


@pytest.mark.slow
def test_a_report_of_a_log_without_amounts_or_repeat_orders(stagecast: Stagecast) -> None:
    rows = "".join(f"c{k:03d},2024-0{1 + k % 6}-11\n" for k in range(60))
    Path("log.csv").write_text("customer_id,timestamp\n" + rows)
    result = stagecast("report", "log.csv", "--out", "out")
    assert result.code == 0, result.err
    assert "How customers move" in Path("out/report.html").read_text("utf-8")
    Path("visits.csv").write_text(
        "customer_id,timestamp,event\na,2024-01-01,visit\nb,2024-02-01,visit\n"
    )
    assert stagecast("report", "visits.csv", "--out", "visits").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--period", "moth"), 2, "Did you mean 'month'?"),
        (("--before-after", "2031-01-01"), 2, "2031-01-01"),
        (("--before-after", "2020-01-10"), 4, "a comparison needs 28"),
        (("--from", "2021-05-01", "--to", "2021-01-01"), 2, "is not before the end"),
        (("--to", "1.5.2021"), 2, "--to '1.5.2021' is not an ISO 8601 date"),
        (("--before-after", "2021-01-01", "--cost-event", "costs"), 2, "Did you mean 'cost'?"),
    ],
)
def test_wrong_use_of_report_leaves_nothing(
    stagecast: Stagecast, shop: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    result = stagecast("report", shop / "shop.csv", "--out", "out", *args)
    assert (result.code, message in result.err) == (code, True), result.err
    assert not Path("out").exists()
    assert not list(Path.cwd().glob(".out*"))


# --- leads ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_leads_are_ranked_with_points_grades_and_a_fitted_chance(
    stagecast: Stagecast, shop: Path
) -> None:
    people = ("--customers", shop / "people.csv", "--known-at-start", "size")
    result = stagecast(
        *(
            "leads",
            shop / "shop.csv",
            *people,
            "--as-of",
            "2021-06-01",
            "--out",
            "leads.parquet",
            "--learn",
            "mine.toml",
        ),
        *("--mql", "share:50%", "--sql", "best:5", "--json"),
    )
    assert result.code == 0, result.err
    report, actual = json.loads(result.out), pq.read_table("leads.parquet").to_pandas()
    assert (report["leads"], report["method"]) == (len(actual), "blend")
    assert actual["lead_points"].is_monotonic_decreasing
    assert actual["p_convert"].between(0, 1).all()
    assert 1 <= (actual["lead_grade"] == "SQL").sum() <= 5
    # those of the fair buy six times as often
    mean = actual.groupby("channel")["p_convert"].mean()
    assert mean["fair"] > 2 * mean["email"]
    # nobody who had bought by then is a lead
    log = pd.read_csv(shop / "shop.csv")
    bought = log[(log["event"] == "purchase") & (log["timestamp"] < "2021-06-01")]["customer_id"]
    assert not set(actual["customer_id"]) & set(bought)
    again = stagecast(
        "leads", shop / "shop.csv", *people, "--points", "mine.toml", "--out", "again.csv"
    )
    assert again.code == 0, again.err


@pytest.mark.slow
def test_leads_have_the_chance_that_a_training_gives_them(learned: Path, tmp_path: Path) -> None:
    call_in(learned, "leads", *LEARNED, "--out", tmp_path / "leads.parquet")
    ranked = (
        pq.read_table(tmp_path / "leads.parquet").to_pandas().set_index("customer_id")["p_convert"]
    )
    scores = (
        pq.read_table(learned / "out" / "scores.parquet")
        .to_pandas()
        .set_index("customer_id")["p_convert"]
        .dropna()
    )
    np.testing.assert_allclose(ranked.sort_index(), scores.sort_index(), rtol=1e-9)


def test_deals_of_a_crm_are_closed_and_the_missing_points_are_said(stagecast: Stagecast) -> None:
    rng = np.random.default_rng(5)
    lines = ["customer_id,timestamp,event,amount"]
    for k in range(260):
        begins = pd.Timestamp("2023-01-01") + pd.Timedelta(days=int(rng.integers(0, 330)))
        closes = begins + pd.Timedelta(days=int(rng.integers(5, 90)))
        lines.append(f"d{k},{begins.date()},engage,")
        if closes < pd.Timestamp("2023-12-31"):
            won = rng.random() < 0.6
            lines.append(f"d{k},{closes.date()},{'purchase' if won else 'Lost'},{'90' * won}")
    Path("log.csv").write_text("\n".join(lines))
    asked = ("leads", "log.csv", "--as-of", "2023-12-31", "--horizon", "60d", "--out", "l.csv")
    result = stagecast(*asked, "--ends-lead", "lost, disqualified", "--learn", "p.toml")
    assert result.code == 0, result.err
    assert "no event type of this log has points (engage, lost)" in result.out
    assert "--ends-lead 'disqualified': no lead has such an event" in result.out
    assert "are no leads any more (lost, disqualified)" in result.out
    log = pd.read_csv("log.csv")
    closed = log[log["event"].isin(["Lost", "purchase"])]["customer_id"]
    assert set(pd.read_csv("l.csv")["customer_id"]) == set(log["customer_id"]) - set(closed)
    assert re.search(r"^  engage [+-]", result.out, re.MULTILINE)
    report = json.loads(stagecast(*asked, "--ends-lead", "lost", "--json").out)
    assert report["closed"] == int((log["event"] == "Lost").sum())
    assert len(report["notes"]) == 1
    wrong = stagecast(*asked, "--ends-lead", "lost,,gone")
    assert (wrong.code, "has an empty type" in wrong.err) == (2, True)


def test_a_log_of_buyers_has_no_leads(stagecast: Stagecast) -> None:
    Path("log.csv").write_text("customer_id,timestamp\na,2024-01-01\nb,2024-02-01\n")
    result = stagecast("leads", "log.csv", "--out", "leads.csv")
    assert (result.code, "there is no lead" in result.err) == (4, True)
    assert not Path("leads.csv").exists()
    assert stagecast("stages", "log.csv", "--stages", "crm5", "--out", "s.csv").code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--known-at-start", "size"), "name the table that has it with --customers"),
        (("--mql", "good"), "write points like 20, or best:200"),
        (("--mql", "best:none"), "must be a whole number of leads"),
        (("--points", "nowhere.toml"), "cannot be read as a table of points"),
        (("--learn", "leads.csv"), "--learn and --out are both leads.csv"),
    ],
)
def test_wrong_use_of_leads_is_said(
    stagecast: Stagecast, shop: Path, args: tuple[str, ...], message: str
) -> None:
    result = stagecast("leads", shop / "shop.csv", "--out", "leads.csv", *args)
    assert (result.code, message in result.err) == (2, True), result.err


@pytest.mark.slow
def test_what_was_known_at_the_start_is_learned_from_kept_and_asked_for(
    stagecast: Stagecast, learned: Path
) -> None:
    log = (learned / "shop.csv", "--as-of", "2021-08-01")
    people = ("--customers", learned / "people.csv", "--known-at-start", "size")
    model = learned / "out" / "model"
    remaining = json.loads((model / "models.json").read_text())
    assert remaining["config"]["known_at_start"] == ["size"]
    assert {"size", "channel"} <= set(json.dumps(remaining["conversion"]).replace('"', " ").split())
    assert stagecast("score", *log, *people, "--model", model, "--out", "s.parquet").code == 0
    without = stagecast("score", *log, "--model", model, "--out", "s.csv")
    assert (without.code, "name that table with --customers" in without.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["client7", pytest.param("crm5", marks=pytest.mark.long)])
def test_one_customer_at_a_time_scores_as_the_whole_log_does(
    stagecast: Stagecast, shop: Path, scheme: str
) -> None:
    people = ("--customers", shop / "people.csv", "--known-at-start", "size")
    log = (shop / "shop.csv", "--as-of", "2021-08-01")
    train = (
        "train",
        *log,
        *people,
        "--stages",
        scheme,
        "--horizon",
        "150d",
        "--out",
        "model",
        "--no-track",
    )
    assert stagecast(*train).code == 0
    assert stagecast("score", *log, *people, "--model", "model", "--out", "s.parquet").code == 0
    batch = pq.read_table("s.parquet").to_pandas().set_index("customer_id")
    sizes = pd.read_csv(shop / "people.csv").set_index("customer_id")["size"]
    events = pd.read_csv(shop / "shop.csv", parse_dates=["timestamp"])
    customers = [
        CustomerEvents(
            str(name),
            tuple(
                Event(
                    row.timestamp.to_pydatetime(),
                    row.event,
                    None if np.isnan(row.amount) else row.amount,
                    row.channel,
                )
                for row in mine.itertuples()
            ),
            {"size": sizes[str(name)], "told": ["elsewhere"]},
        )
        for name, mine in events.groupby("customer_id")
        if name in batch.index
    ]
    actual = (
        load_scorer(Path("model"))
        .score_customers(customers, datetime(2021, 8, 1, tzinfo=UTC))
        .to_pandas()
    )
    batch = batch.loc[actual["customer_id"]].reset_index()
    assert actual["p_convert"].notna().sum() > 20
    for column in actual.columns:
        if column in ("reasons", "data_cutoff"):
            continue
        if actual[column].dtype.kind == "f":
            np.testing.assert_allclose(actual[column], batch[column], rtol=1e-9, err_msg=column)
        else:
            pd.testing.assert_series_equal(actual[column], batch[column])
    chances = actual.filter(like="p_stage_").to_numpy()
    assert np.abs(chances.sum(axis=1) - 1).max() <= 1e-12
    reach = load_scheme(scheme).reachable()
    for name in load_scheme(scheme).ids:
        cannot = [stage for stage in load_scheme(scheme).ids if stage not in reach[name]]
        rows = (actual["stage"] == name).to_numpy()
        assert (actual.loc[rows, [f"p_stage_{stage}" for stage in cannot]].to_numpy() == 0).all()
