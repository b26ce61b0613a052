"""The documents say what is so: their examples run, their links lead somewhere, their names
exist.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
import pyarrow as pa
import pytest
from sklearn.model_selection import GridSearchCV

from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.cli import COMMANDS, cli
from stagecast.serving.scoring import score_schema
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.serving.settings import PREFIX, Settings
from stagecast.serving.store.store import Store
from tests.training.made import unevaluated
from tests.waiting import LIMIT_SECONDS, free_port, lives, stop, wait_for

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
STAGECAST = Path(sys.executable).with_name("stagecast")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")

EACH = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def blocks(path: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [text for actual, text in _FENCE.findall(path.read_text("utf-8")) if actual == language]


def commands(text: str) -> list[str]:
    """Return the command lines of a shell block, continued lines joined, comments taken off."""
    joined = text.replace("\\\n", " ")
    lines, held = [], ""
    for line in joined.splitlines():
        held = f"{held}\n{line}" if held else line
        try:
            shlex.split(held, comments=True)
        except ValueError:  # a quote is still open: the command goes on
            continue
        lines.append(held)
        held = ""
    return [line for line in lines if shlex.split(line, comments=True)]


def own_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((PREFIX, "MLFLOW_"))
    }


# --- examples -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which README's Python example was run."""
    folder = tmp_path_factory.mktemp("readme")
    (example,) = blocks(README, "python")
    (folder / "example.py").write_text(example, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "example.py"],
        cwd=folder,
        env=own_environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (folder / "printed.txt").write_text(done.stdout, "utf-8")
    return folder


@pytest.mark.slow
def test_the_python_example_prints_five_customers_and_leaves_what_it_says(shop: Path) -> None:
    printed = (shop / "printed.txt").read_text("utf-8").splitlines()
    assert "value_at_risk" in printed[0]
    assert len(printed) == 6
    for name in ("scores.parquet", "report.html", "model"):
        assert (shop / "shop" / name).exists()


def is_session(path: Path) -> bool:
    """Tell whether the Python blocks of a page are one session."""
    first = blocks(path, "python")[:1]
    return path != README and any(block.startswith("import stagecast as sc") for block in first)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if is_session(path)], ids=lambda path: path.name
)
def test_the_python_blocks_of_a_page_are_one_session(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each block runs in the namespace of those before it; a text block after one is its output.

    The trainings of a search are not evaluated, which would double them: nobody reads that.
    """
    fit = GridSearchCV.fit

    def fit_unevaluated(*args: Any, **kwargs: Any) -> Any:
        with unevaluated():
            return fit(*args, **kwargs)

    monkeypatch.setattr(GridSearchCV, "fit", fit_unevaluated)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    printed = ""
    for language, text in _FENCE.findall(path.read_text("utf-8")):
        if language == "python":
            capsys.readouterr()
            exec(compile(text, path.name, "exec"), namespace)
            printed = capsys.readouterr().out
        elif language == "text":
            assert printed == text


@dataclass(frozen=True)
class Server:
    """A server that runs, and its port."""

    port: int

    def ask(self, curl: str) -> httpx.Response:
        """Send what a curl command of README sends, by curl where there is one."""
        words = shlex.split(curl)
        address = next(word for word in words if word.startswith("http://127.0.0.1:8000/"))
        here = address.replace(":8000/", f":{self.port}/")
        body = words[words.index("-d") + 1] if "-d" in words else None
        if shutil.which("curl"):
            # a proxy of the machine has no say between a process and its neighbour
            command = [here if word == address else word for word in words]
            output = subprocess.run(
                [*command, "--noproxy", "*", "-w", "\n%{http_code}"],
                capture_output=True,
                text=True,
                timeout=LIMIT_SECONDS,
                check=True,
            ).stdout
            content, _, status = output.rpartition("\n")
            return httpx.Response(int(status), text=content)
        headers = dict(words[k + 1].split(": ", 1) for k, word in enumerate(words) if word == "-H")
        with httpx.Client(trust_env=False, timeout=LIMIT_SECONDS) as client:
            return client.request(
                "GET" if body is None else "POST", here, content=body, headers=headers
            )


@pytest.fixture(scope="module")
def server(shop: Path) -> Iterator[Server]:
    """`stagecast serve` as after `make demo`: the scores are published, the model is theirs."""
    store = Store.open(f"sqlite:///{shop / 'stagecast.db'}")
    model = shop / "shop" / "model"
    store.publish(
        shop / "shop" / "scores.parquet", model_path=model, scheme=load_scorer(model).scheme
    )
    store.close()
    port = free_port()
    log = (shop / "serve.txt").open("w", encoding="utf-8")
    process = subprocess.Popen(
        [STAGECAST, "serve", "--port", str(port)],
        cwd=shop,
        env=own_environment(),
        stdout=log,
        stderr=log,
    )
    try:
        wait_for(lambda: lives(f"http://127.0.0.1:{port}"), process, shop / "serve.txt")
        yield Server(port)
    finally:
        stop(process)
        log.close()


def curls() -> list[str]:
    return [
        line for text in blocks(README, "sh") for line in commands(text) if line.startswith("curl ")
    ]


@pytest.mark.slow
def test_the_curl_example_scores_the_events_it_sends(server: Server) -> None:
    line = next(line for line in curls() if "/v1/score" in line)
    sent = json.loads(shlex.split(line)[-1])
    answer = server.ask(line)
    assert answer.status_code == 200, answer.text
    output = answer.json()
    assert list(output) == ["model_version", "as_of", "scores", "errors"]
    assert output["errors"] == []
    assert output["as_of"] == sent["as_of"]
    assert [score["customer_id"] for score in output["scores"]] == [
        item["customer_id"] for item in sent["customers"]
    ]
    assert sum(output["scores"][0]["next_stage"].values()) == pytest.approx(1)


@pytest.mark.slow
def test_the_curl_example_lists_the_published_customers(server: Server) -> None:
    line = next(line for line in curls() if "/v1/customers" in line)
    answer = server.ask(line)
    assert answer.status_code == 200, answer.text
    listed = answer.json()["customers"]
    assert len(listed) == 3
    assert [score["churn_band"] for score in listed] == ["high"] * 3
    at_risk = [score["value_at_risk"] for score in listed]
    assert at_risk == sorted(at_risk, reverse=True)


def test_every_curl_example_is_tried() -> None:
    assert len(curls()) == 2


@pytest.mark.slow
def test_the_toml_example_means_what_the_command_line_says(tmp_path: Path) -> None:
    (text,) = blocks(README, "toml")
    (tmp_path / "stagecast.toml").write_text(text, "utf-8")
    lines = [
        line
        for block in blocks(README, "sh")
        for line in commands(block)
        if "Quantity * Price" in line
    ]
    words = shlex.split(lines[0])
    arguments = {
        word.removeprefix("--"): words[k + 1]
        for k, word in enumerate(words)
        if word.startswith("--")
    }
    assert tomllib.loads(text) == {
        name: value for name, value in arguments.items() if name != "out"
    }
    rows = ["Customer ID,InvoiceDate,Quantity,Price", "17850,2010-12-01 08:26:00,6,2.55"]
    (tmp_path / "lines.csv").write_text("\n".join(rows) + "\n", "utf-8")
    done = subprocess.run(
        [STAGECAST, "check", "lines.csv", "--json"],
        cwd=tmp_path,
        env=own_environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["rows_loaded"] == 1
    assert report["columns"]["amount"] == "Quantity * Price"


# --- names ----------------------------------------------------------------------------------------


@EACH
def test_links_lead_somewhere(path: Path) -> None:
    text = _FENCE.sub("", path.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = target.partition("#")
        if "://" in place:
            continue
        file = (path.parent / place) if place else path
        assert file.exists(), f"{path.name}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            known = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in known, f"{path.name}: {target}"


def invocations(path: Path) -> Iterator[list[str]]:
    """Yield the words of each stagecast command in a document, in blocks and in inline code."""
    text = path.read_text("utf-8")
    lines = [
        line
        for language in ("sh", "")
        for block in blocks(path, language)
        for line in commands(block)
    ]
    lines += _CODE.findall(_FENCE.sub("", text))
    for line in lines:
        words = shlex.split(line.replace("'", '"') if line.count("'") % 2 else line, comments=True)
        if words and Path(words[0]).name == "stagecast" and len(words) > 1:
            yield words[1:]


def options(command: click.Command) -> set[str]:
    actual = {
        name
        for p in command.params
        if isinstance(p, click.Option)
        for name in (*p.opts, *p.secondary_opts)
    }
    return actual | {"--help", "-h"}


def command_of(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def called(command: click.Command, words: list[str]) -> click.Command:
    """Return the subcommand that the words name, if the command has any and they do."""
    if isinstance(command, click.Group) and words and words[0] in command.commands:
        return command.commands[words[0]]
    return command


def every_command() -> list[click.Command]:
    """Return all commands with their subcommands."""
    commands = [command_of(name) for name in COMMANDS]
    groups = [command for command in commands if isinstance(command, click.Group)]
    return [*commands, *(part for group in groups for part in group.commands.values())]


@EACH
def test_commands_and_options_exist(path: Path) -> None:
    for name, *words in invocations(path):
        if name.startswith("-"):
            assert name in {"--help", "-h", "--version"}, name
            continue
        assert name in COMMANDS, f"{path.name}: stagecast {name}"
        known = options(called(command_of(name), words))
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, f"{path.name}: stagecast {name} {word}"


@EACH
def test_options_named_alone_exist(path: Path) -> None:
    others = {"--write", "--customers"}  # of `python -m tests.notebooks` and `python -m bench`
    known = others | set().union(*map(options, every_command()))
    for code in _CODE.findall(_FENCE.sub("", path.read_text("utf-8"))):
        if code.startswith("--"):
            assert code.split()[0] in known, f"{path.name}: {code}"


@EACH
def test_settings_and_targets_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    fields = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in re.findall(rf"\b{PREFIX}[A-Z_]+\b", text):
        assert name in fields, f"{path.name}: {name}"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for line in [
        *_CODE.findall(_FENCE.sub("", text)),
        *(c for b in blocks(path, "sh") for c in commands(b)),
    ]:
        if line.startswith("make "):
            assert shlex.split(line, comments=True)[1] in targets, f"{path.name}: {line}"


@EACH
def test_modules_and_files_named_in_code_exist(path: Path) -> None:
    for code in _CODE.findall(_FENCE.sub("", path.read_text("utf-8"))):
        if re.fullmatch(r"(features|training|serving|tests|bench|docs|notebooks)/[\w./*-]*", code):
            assert list(ROOT.glob(code.rstrip("/"))), f"{path.name}: {code}"


# --- the columns of a score -----------------------------------------------------------------------

_TYPES = {
    pa.string(): "text",
    pa.float64(): "number",
    pa.int64(): "whole number",
    pa.int32(): "whole number",
    pa.bool_(): "true or false",
    pa.date32(): "date",
    score_schema.INSTANT: "instant",
    pa.list_(score_schema.REASON): "list",
    pa.list_(pa.float64()): "list",
}


def test_the_scores_document_names_the_columns_of_the_contract_in_order() -> None:
    stages = load_scheme("retail").ids
    described: list[tuple[str, str, bool]] = []
    for line in (ROOT / "docs" / "scores.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `") or len(cells) != 5:
            continue
        name, kind, _, null, _ = cells
        names = (
            [f"p_stage_{stage}" for stage in stages]
            if name == "`p_stage_<id>`"
            else [name.strip("`")]
        )
        described += [(item, kind, null != "never") for item in names]
    expected = [
        (column.name, _TYPES[column.type], column.nullable)
        for column in score_schema.columns(stages)
    ]
    assert described == expected


# --- what the repository must not hold ------------------------------------------------------------

# put together here, so that this file does not hold what it looks for
_FORBIDDEN = {
    "a package registry": re.compile(
        "|".join(
            (
                "py" + r"pi\.org",
                "python" + r"hosted\.org",
                "npm" + r"js\.",
                r"index-url\s+http",
                "anaconda" + r"\.(org|com)",
            )
        )
    ),
    "a place on one machine": re.compile(r"(?<![\w.])/(?:" + "work|root|home/[a-z]+" + r")/"),
    "a secret": re.compile(
        "-----BEGIN "
        + r"[A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}"
        + r"|\bsk-[A-Za-z0-9]{30,}"
    ),
}


def repository_files() -> list[Path]:
    """Return the files that are or could be committed."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=True,
        ).stdout
        actual = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive, or no git
        actual = [
            path
            for path in ROOT.rglob("*")
            if not any(p.startswith(".") for p in path.relative_to(ROOT).parts)
        ]
    return [path for path in actual if path.is_file()]


@pytest.mark.parametrize("what", list(_FORBIDDEN))
def test_no_file_holds(what: str) -> None:
    holding = []
    for path in repository_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if match := _FORBIDDEN[what].search(text):
            holding.append(f"{path.relative_to(ROOT)}: {match[0]}")
    assert not holding
