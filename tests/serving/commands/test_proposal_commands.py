"""``check`` without a mapping proposes one and asks; ``init`` writes it down, with comments."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from tests.features.intake.exports import EXPORTS
from tests.serving.calling import Said, call

pytestmark = pytest.mark.slow


@pytest.fixture
def stagecast(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> object:
    monkeypatch.chdir(tmp_path)
    EXPORTS["shopify"]().frame.to_csv("orders.csv", index=False)
    rows = "".join(f"k{k % 9};0{k % 9 + 1}.02.2024;{k}.50\n" for k in range(60))
    Path("own.csv").write_text("Client;Day of order;Amount\n" + rows + "k1;28.02.2024;1\n", "utf-8")

    def run(*args: object) -> Said:
        return call(capsys, monkeypatch, *args)

    return run


def test_check_without_a_mapping_proposes_one_and_applies_nothing(stagecast) -> None:
    result = stagecast("check", "own.csv")
    assert result.code == 0
    assert "--customer Client" in result.out
    assert 'stagecast check own.csv --customer Client --time "Day of order"' in result.out
    assert "--time-format %d.%m.%Y" in result.out
    assert "nothing of this was applied" in result.out
    assert "rows in" not in result.out


def test_check_proposes_a_preset(stagecast) -> None:
    result = stagecast("check", "orders.csv")
    assert (result.code, "stagecast check orders.csv --preset shopify" in result.out) == (0, True)
    assert "3 loaded" in stagecast("check", "orders.csv", "--preset", "shopify").out


@pytest.mark.parametrize(("answer", "is_checked"), [(True, True), (False, False)])
def test_check_asks_a_person(stagecast, monkeypatch, answer: bool, is_checked: bool) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: answer)
    result = stagecast("check", "own.csv")
    assert result.code == 0
    assert ("61 rows in = 61 loaded" in result.out) == is_checked


def test_a_program_and_a_table_without_times_get_the_refusal(stagecast) -> None:
    result = stagecast("check", "own.csv", "--json")
    assert (result.code, result.out) == (3, "")
    Path("people.csv").write_text("customerID,plan\n" + "".join(f"k{k},a\n" for k in range(30)))
    result = stagecast("check", "people.csv")
    assert result.code == 3
    assert "is this a log of events?" in result.out
    assert "has no column 'customer_id'" in result.err


def test_a_partial_mapping_gets_the_refusal(stagecast) -> None:
    result = stagecast("check", "own.csv", "--customer", "Client")
    assert result.code == 3
    assert "stagecast check FILE" in result.err


def test_init_writes_a_configuration_with_which_the_log_is_read(stagecast) -> None:
    assert stagecast("init", "own.csv").code == 0
    text = Path("stagecast.toml").read_text("utf-8")
    assert tomllib.loads(text) == {
        "customer": "Client",
        "time": "Day of order",
        "amount": "Amount",
        "time-format": "%d.%m.%Y",
    }
    assert "# by its name; 9 different in 61 rows" in text
    assert "61 rows in = 61 loaded" in stagecast("check", "own.csv").out


def test_every_line_that_init_leaves_to_the_user_is_an_option(stagecast) -> None:
    stagecast("init", "own.csv")
    lines = Path("stagecast.toml").read_text("utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("# What else"))
    text = "\n".join(line.removeprefix("# ") for line in lines[start + 1 :])
    Path("all.toml").write_text(text.replace("[customers]", "[customers]\n"), "utf-8")
    assert set(tomllib.loads(text)) >= {"event", "zone", "where", "customers", "run"}
    result = stagecast("check", "own.csv", "--config", "all.toml")
    assert "unknown option" not in result.err


def test_init_of_an_export_of_a_vendor_names_the_preset_and_what_it_declares(stagecast) -> None:
    assert stagecast("init", "orders.csv", "--out", "shop.toml").code == 0
    text = Path("shop.toml").read_text("utf-8")
    assert tomllib.loads(text) == {"preset": "shopify"}
    assert '#   time = "Created at"' in text
    assert "3 loaded" in stagecast("check", "orders.csv", "--config", "shop.toml").out


def test_init_replaces_no_file_unasked(stagecast) -> None:
    Path("stagecast.toml").write_text("# mine\n", "utf-8")
    result = stagecast("init", "own.csv")
    assert (result.code, "give --force" in result.err) == (2, True)
    assert Path("stagecast.toml").read_text("utf-8") == "# mine\n"
    assert stagecast("init", "own.csv", "--force").code == 0
    assert "Client" in Path("stagecast.toml").read_text("utf-8")


def test_init_keeps_how_the_text_is_read(stagecast) -> None:
    text = Path("own.csv").read_text("utf-8")
    Path("titled.csv").write_text("A title\n\n" + text, "utf-16")
    args = ("--header-line", "3", "--encoding", "utf-16", "--out", "titled.toml")
    assert stagecast("init", "titled.csv", *args).code == 0
    written = tomllib.loads(Path("titled.toml").read_text("utf-8"))
    assert (written["header-line"], written["encoding"]) == (3, "utf-16")
    assert "61 loaded" in stagecast("check", "titled.csv", "--config", "titled.toml").out


def test_a_header_below_the_first_line_is_proposed_by_check_and_written_by_init(stagecast) -> None:
    text = Path("own.csv").read_text("utf-8")
    for name, title in {
        "titled.csv": "A title\n\n",
        "blank.csv": "\n",
        "same.csv": "a,a\n",
    }.items():
        Path(name).write_text(title + text, "utf-8")
        line = title.count("\n") + 1
        result = stagecast("check", name)
        assert result.code == 0
        assert f"stagecast check {name} --header-line {line} --customer Client" in result.out
    assert stagecast("init", "titled.csv").code == 0
    assert tomllib.loads(Path("stagecast.toml").read_text("utf-8"))["header-line"] == 3
    assert "61 loaded" in stagecast("check", "titled.csv").out
