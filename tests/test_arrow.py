"""The arrow ``features <- training <- serving``, and what no module of the packages may do."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.waiting import LIMIT_SECONDS

ROOT = Path(__file__).parents[1]
ABOVE = {"features": {"training", "serving"}, "training": {"serving"}, "serving": set()}
"""Package -> the packages that import it, which it may not import itself."""
OUTSIDE = {"features", "training", "serving", "tests", "bench"}
"""Folders of the checkout that no installed module may import by their bare names."""
UNSAFE = {
    "pickle",
    "cPickle",
    "_pickle",
    "joblib",
    "cloudpickle",
    "dill",
    "skops",
    "shelve",
    "marshal",
}
ALLOWED = {"training/inactivity/own_files.py": {"skops"}}
"""Module -> the unsafe module that it may import: members of the user, only by their choice."""
HEAVY = ("lifetimes", "autograd", "mlflow")
NOT_OF_A_SERVER = {
    "pandas",
    "sklearn",
    "lightgbm",
    "duckdb",
    "scipy.stats",
    "scipy.optimize",
    "pyarrow.compute",
    "pyarrow.parquet",
}
"""What a running server does without until somebody asks for what needs it."""


def modules() -> list[Path]:
    return sorted(path for package in ABOVE for path in (ROOT / package).rglob("*.py"))


MODULES = pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of every module that is imported, at the top or within a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write imports from the top"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def faults(source: str, package: str, name: str) -> list[str]:
    """Return what the text of a module does that it may not."""
    tree = ast.parse(source)
    names = set(imported(tree))
    tops = {module.split(".")[0] for module in names}
    above = {f"stagecast.{other}" for other in ABOVE[package]}
    actual = [
        f"imports {top}" for top in sorted(tops & (OUTSIDE | UNSAFE) - ALLOWED.get(name, set()))
    ]
    actual += [
        f"imports {top}"
        for top in sorted({".".join(module.split(".")[:2]) for module in names} & above)
    ]
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        ):
            actual.append(f"line {node.lineno}: prints")
        if name != "serving/settings.py" and _environment(node):
            actual.append(f"line {node.lineno}: reads the environment")
    return actual


def _environment(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        return any(alias.name in ("environ", "environb", "getenv") for alias in node.names)
    return isinstance(node, ast.Attribute) and ast.unparse(node) in (
        "os.environ",
        "os.environb",
        "os.getenv",
    )


@pytest.mark.slow
@MODULES
def test_a_module_imports_along_the_arrow_and_keeps_the_house_rules(path: Path) -> None:
    name = path.relative_to(ROOT)
    assert faults(path.read_text("utf-8"), name.parts[0], name.as_posix()) == []


@pytest.mark.parametrize(
    ("package", "source", "fault"),
    [
        ("features", "from stagecast.training import panel", "imports stagecast.training"),
        ("features", "from stagecast import training", "imports stagecast.training"),
        ("serving", "from features.clock import iso", "imports features"),
        (
            "features",
            "def f():\n    import stagecast.serving.http.app",
            "imports stagecast.serving",
        ),
        (
            "training",
            "from stagecast.serving.store.store import Store",
            "imports stagecast.serving",
        ),
        (
            "training",
            "import importlib\nimportlib.import_module('stagecast.serving.http.app')",
            "imports stagecast.serving",
        ),
        ("serving", "import pickle", "imports pickle"),
        ("serving", "from joblib import load", "imports joblib"),
        ("serving", "print(1)", "line 1: prints"),
        ("serving", "import os\nos.environ['A']", "line 2: reads the environment"),
        ("serving", "from os import getenv", "line 1: reads the environment"),
    ],
)
def test_each_fault_is_found(package: str, source: str, fault: str) -> None:
    assert faults(source, package, f"{package}/x.py") == [fault]


def test_settings_may_read_the_environment() -> None:
    assert faults("import os\nos.environ['A']", "serving", "serving/settings.py") == []


def room_of(module: str) -> str:
    """Return the room of a module: the folder or file directly inside its package."""
    return ".".join(module.split(".")[1:3])


def imports_between_rooms(package: str) -> dict[str, set[str]]:
    """Return which rooms of a package each of its rooms imports, also within functions."""
    names = {dotted(path) for path in modules()}
    rooms: dict[str, set[str]] = {}
    for path in (ROOT / package).rglob("*.py"):
        here = room_of(dotted(path))
        for name in imported(ast.parse(path.read_text("utf-8"))):
            module = name if name in names else name.rpartition(".")[0]
            there = room_of(module)
            if module.startswith(f"stagecast.{package}.") and there != here:
                rooms.setdefault(here, set()).add(there)
    return rooms


@pytest.mark.slow
@pytest.mark.parametrize("package", ABOVE)
def test_rooms_import_each_other_in_no_circle(package: str) -> None:
    rooms = imports_between_rooms(package)
    assert len(rooms) > 5
    tuple(TopologicalSorter(rooms).static_order())  # a CycleError names the circle


@pytest.mark.parametrize("package", ABOVE)
def test_no_package_is_a_heap(package: str) -> None:
    """At most this many files stand directly in a package; what belongs together has a folder."""
    assert len(list((ROOT / package).glob("*.py"))) <= 16


IMPORT_ALL = """
import importlib, json, sys, warnings
names, others = json.loads(sys.argv[1])
for name in others:
    importlib.import_module(name)
before = list(warnings.filters)
changed = []
for name in names:
    importlib.import_module(name)
    if list(warnings.filters) != before:
        changed.append(name)
        before = list(warnings.filters)
sys.stderr.write("RESULT" + json.dumps([changed, sorted(sys.modules)]))
"""


def import_all(names: list[str], others: list[str]) -> tuple[list[str], list[str]]:
    """Import modules in a process of their own; return who changed the warning filters, and all
    that was loaded.

    ``others`` are imported first: what they do (NumPy sets filters) is not held against us.
    """
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, json.dumps([names, others])],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    before, _, result = ran.stderr.partition("RESULT")
    assert ran.returncode == 0, ran.stderr
    assert (ran.stdout, before) == ("", ""), "importing says nothing"
    changed, loaded = json.loads(result)
    return changed, loaded


def dotted(path: Path) -> str:
    return ".".join(["stagecast", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(
        ".__init__"
    )


def third_party(path: Path) -> set[str]:
    """Return the packages of others that a module imports at its top, those excepted that
    misbehave.
    """
    tops = [
        node
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {
        name
        for node in tops
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
        )
    }
    return {name for name in names if name.split(".")[0] not in {"stagecast", *HEAVY}}


@pytest.mark.slow
def test_importing_changes_no_warning_filter_and_says_nothing() -> None:
    """The modules of all packages in one process, the lower packages first."""
    names = [dotted(path) for package in ABOVE for path in sorted((ROOT / package).rglob("*.py"))]
    changed, loaded = import_all(
        names, sorted({other for path in modules() for other in third_party(path)})
    )
    assert set(names) <= set(loaded)
    assert changed == []


EVALUATION = {
    "billing.ahead",
    "billing.beginnings",
    "billing.calendar",
    "billing.month_dates",
    "billing.months",
    "billing.periods",
    "billing.price_list",
    "billing.unannounced",
    "billing.renewals",
    "billing.schedule",
    "billing.standing",
    "billing.waits",
    "calendar",
    "bundle.bundle",
    "bundle.files",
    "bundle.formats",
    "bundle.reading",
    "bundle.stored_models",
    "bundle.writing",
    "cancellation.ages",
    "cancellation.cloglog",
    "cancellation.columns",
    "cancellation.end_days",
    "cancellation.landmarks",
    "cancellation.members",
    "cancellation.model",
    "card",
    "golden",
    "inactivity.hazard.odds",
    "inactivity.members",
    "inactivity.model",
    "churn_kinds.cancellation",
    "churn_kinds.inactivity",
    "churn_kinds.kind",
    "churn_kinds.learned",
    "columns",
    "config",
    "leads.activity",
    "leads.conversion",
    "leads.effects",
    "leads.hazard",
    "learners.boosted",
    "learners.btyd.betageometric",
    "learners.btyd.closed_forms",
    "learners.btyd.dated",
    "learners.btyd.once_a_season",
    "learners.btyd.densities",
    "learners.btyd.distinct",
    "learners.btyd.gammagamma",
    "learners.btyd.histories",
    "learners.btyd.paretonbd",
    "learners.btyd.regular",
    "learners.btyd.regular_pareto",
    "learners.btyd.renewals",
    "learners.btyd.stored",
    "learners.btyd.seasonal_pareto",
    "learners.c_trees",
    "learners.compiled_terms",
    "learners.customer_base",
    "learners.design",
    "learners.factor",
    "learners.following",
    "learners.leaving",
    "learners.pace_of_log",
    "learners.parted",
    "learners.plans",
    "learners.regularities",
    "learners.seasonal_buyers",
    "learners.season_of_purchases",
    "learners.stored_base",
    "learners.linear",
    "learners.pool",
    "learners.single_row",
    "member_settings.arguments",
    "member_settings.ours",
    "member_settings.own",
    "member_settings.settings",
    "learners.tree_text",
    "models",
    "next_stage.model",
    "one_row.base",
    "one_row.base_of_arrays",
    "one_row.churn",
    "one_row.next_order",
    "one_row.next_stage",
    "one_row.predict",
    "one_row.predictions",
    "one_row.prospects",
    "one_row.reasons",
    "one_row.trees",
    "one_row.value",
    "one_row.waiting",
    "outcomes",
    "reasons.due",
    "reasons.explanation",
    "reasons.families",
    "reasons.of_buyers",
    "reasons.of_contracts",
    "reasons.reason",
    "reasons.sentences",
    "reasons.told_once",
    "reasons.wordings",
    "reference.reference",
    "reference.rfm",
    "reference.rfm_settings",
    "schemes",
    "reference.usual",
    "value.after_contract",
    "value.ahead",
    "usual_gap",
    "value.base_share",
    "value.contract_money",
    "value.currency",
    "value.due",
    "value.first_orders",
    "value.intervals",
    "value.kept",
    "value.model",
    "value.money",
    "value.money_of_buyers",
    "value.payments",
    "value.prices",
    "value.reactivation",
    "waiting.next_order",
    "waiting.price",
}
"""What a running server may load of ``stagecast.training``: evaluation, and nothing that fits."""


@pytest.mark.slow
def test_a_running_server_loads_evaluation_and_nothing_that_fits() -> None:
    _, loaded = import_all(["stagecast.serving.http.server"], [])
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == []
    assert NOT_OF_A_SERVER.intersection(loaded) == set()
    training = {
        name.removeprefix("stagecast.training.")
        for name in loaded
        if name.startswith("stagecast.training.")
    }
    folders = {name for name in training if (ROOT / "training" / name.replace(".", "/")).is_dir()}
    assert training - folders - EVALUATION == set()
    assert "models" in training
