"""The recipes of CONTRIBUTING.md, followed to the letter: what they show is run as it stands."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stagecast.features.catalog import standard as standard_module
from stagecast.features.catalog.standard import standard
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.requests import CustomerEvents, Event
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.training.columns import buyer_columns
from stagecast.training.inactivity import fit_members, fitting, members
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.reasons.of_buyers import total_effects
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained, day, log_of, simulated_rows

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def blocks(heading: str, language: str) -> list[str]:
    """Return the fenced blocks of a language below a heading of the third level."""
    section = TEXT.split(f"\n### {heading}\n", 1)[1].split("\n### ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def test_a_feature_is_a_line_of_the_standard_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(blocks("A feature", "text"))
    features = eval(f"[{lines}]", vars(standard_module))
    names = [feature.name for feature in features]
    assert names == ["spend_min", "spend_range"]
    before = standard_module._money
    monkeypatch.setattr(standard_module, "_money", lambda: [*before(), *features])
    # the catalogue is made once for each horizon; this one is of this test alone
    monkeypatch.setattr(standard_module, "standard", standard.__wrapped__)
    rows = simulated_rows(60, 400, seed=2, refunds=0.0)
    catalog = standard_module.standard(90).with_parameters(shop_gap_days=30.0)
    frame = pd.DataFrame(rows, columns=["customer", "at", "event", "amount"])
    frame = frame[frame["event"] == "purchase"]
    days = frame.groupby(["customer", frame["at"].dt.floor("D")])["amount"].sum()
    least = days.groupby("customer").min()
    spread = days.groupby("customer").max() - least
    with log_of(rows) as log:
        table = DailyTable(log.con, day(400))
        by_sql = table.features(catalog, [0])
        ids = table.customers[by_sql["customer"].astype(int)]
    requests = [
        CustomerEvents(name, tuple(Event(*row[1:]) for row in rows if row[0] == name))
        for name in ids
    ]
    in_memory = Evaluator(catalog).features(MemoryEvents(requests, day(400)))
    for name, expected in (("spend_min", least), ("spend_range", spread)):
        values = expected.reindex(ids).to_numpy()
        np.testing.assert_allclose(by_sql[name], values, atol=1e-6)
        np.testing.assert_allclose(in_memory[name], values, atol=1e-6)


def test_a_stage_with_a_signal_works_where_the_recipe_puts_it(tmp_path: Path) -> None:
    (addition,) = blocks("A scheme", "text")
    text = (ROOT / "features" / "schemes" / "retail.toml").read_text("utf-8")
    (stage,) = tomllib.loads(addition)["stage"]
    # named in `order` before the stages whose rules would take its customers, and among the `next`
    # of the stage from which it is reached
    text = text.replace('order = ["prospect"', f'order = ["{stage["id"]}", "prospect"')
    asking = stage["id"]
    text = text.replace('next = ["prospect", "new"]', f'next = ["prospect", "{asking}", "new"]')
    path = tmp_path / "mine.toml"
    signals, _, rest = addition.partition("[[stage]]")
    first_table = text.index("[[stage]]")
    text = text[:first_table] + signals + text[first_table:] + "\n[[stage]]" + rest
    path.write_text(text, "utf-8")
    scheme = load_scheme(str(path))
    assert scheme.order[0] == "asking"
    assert scheme.signals["asked"] == ("enquiry", "call")


@pytest.mark.slow
def test_a_member_of_the_pool_is_fitted_weighed_stored_and_explained(
    shop: Trained,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, names = blocks("A model", "python")
    module: dict[str, Any] = {"__name__": __name__}
    exec(compile(code, "silence.py", "exec"), module)
    monkeypatch.setattr(fit_members, "MEMBERS", dict(fit_members.MEMBERS))
    monkeypatch.setattr(members, "READERS", dict(members.READERS))
    tables = {"MEMBERS": fit_members.MEMBERS, "READERS": members.READERS}
    exec(names, {**module, **tables, "MemberFit": fit_members.MemberFit})
    monkeypatch.setattr(fitting.blend, "pool_weights", lambda margins, target, start: start)
    panel, models = shop.training.panel, shop.training.models
    buyers = np.flatnonzero(panel.now.buyers)
    now = buyer_columns(panel.now.features, buyers, panel.base, 90)
    model = fitting.fit_churn(panel, now, models.churn.rule, 90, 1)
    assert model.weights["silence"] > 0.05
    assert model.trees is not None
    stored = json.loads(json.dumps(model.to_json()))
    again = ChurnModel.from_json(stored, model.trees.text)
    assert again.members["silence"] == model.members["silence"]
    columns = panel.dates[0].columns
    assert again.probability(columns).tobytes() == model.probability(columns).tobytes()
    alone = replace(model, weights={"silence": 1.0}, level=0.0)
    effects = total_effects(replace(models, churn=alone), columns)
    np.testing.assert_allclose(effects.sum(axis=1), alone.margins(columns)["silence"])


def test_every_file_that_a_recipe_names_exists() -> None:
    names = set(re.findall(r"`((?:features|training|serving|tests|docs)/[\w./-]+)`", TEXT))
    assert len(names) > 20
    assert {name for name in names if not (ROOT / name).exists()} == set()
