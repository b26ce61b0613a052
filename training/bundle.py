"""The bundle: a trained model on disk, as text and JSON with a sha256 for each file.

    manifest.json    format, model version, as_of and data cutoff, currency of the amounts,
                     covariances of the customer-base models, sha256 and size of each file, and
                     sha256 of all this
    models.json      configuration, stage scheme with thresholds, catalogue of features, customer
                     base, linear members, cancellations, intervals, reference
    *.lightgbm.txt   the boosted members
    own_members.skops  estimators of the user, only where that was chosen: code
    card.json        for people to read: evaluation, dates, notes

The model version is the hash of the files that predictions depend on, so the same data and settings
give the same version on any machine. A bundle from an unknown source is safe to load: nothing is
unpickled, and a file that does not match its hash is not parsed. A bundle with members of the user
is refused unless whoever loads it allows them (:mod:`stagecast.training.inactivity.own_files`).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any, Literal

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.clock import iso, parse_instant
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.plain_json import to_json
from stagecast.features.shop.clock import ShopClock, clock_named
from stagecast.features.stages.scheme_files import scheme_from_json, scheme_to_json
from stagecast.training.cancellation.model import CancellationModel
from stagecast.training.card import Card
from stagecast.training.config import TrainConfig
from stagecast.training.golden import golden_rows
from stagecast.training.inactivity.members import OwnMembersError
from stagecast.training.inactivity.model import ChurnModel
from stagecast.training.leads.conversion import LeadConversion
from stagecast.training.learners.boosted import Boosted
from stagecast.training.learners.btyd.stored import Covariances, covariances_of
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.models import Models
from stagecast.training.next_stage.model import NextStageModel
from stagecast.training.reference.reference import Reference
from stagecast.training.value.currency import NOT_STATED, LogMoney
from stagecast.training.value.intervals import Intervals
from stagecast.training.value.model import FACTORS, ValueModel

FORMAT, OLDEST_FORMAT = 8, 8
OwnMembersFormat = Literal["refuse", "skops"]
MANIFEST, MODELS, CARD = "manifest.json", "models.json", "card.json"
SEAL = "sha256"
"""Key of the manifest: the hash of the rest of it."""
MODELS_WITH_TREES = ("churn", "churn_hazard", "next_stage", *(f"value_{name}" for name in FACTORS))
MODELS_KEYS = {
    "config",
    "scheme",
    "catalog",
    "base",
    "churn",
    "cancellation",
    "next_stage",
    "value",
    "conversion",
    "reference",
    "spend_interval",
    "value_interval",
}
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
UPGRADES: dict[int, Upgrade] = {}
"""Format -> what makes the content of ``models.json`` that of the next one, for every format from
:data:`OLDEST_FORMAT` on; ``tests/training/bundles`` holds a bundle of each.
"""
_FORMATS = str(FORMAT) if OLDEST_FORMAT == FORMAT else f"{OLDEST_FORMAT} to {FORMAT}"
MAX_FILE_BYTES = 256 * 1024 * 1024
OWN_MEMBERS = "own_members.skops"
_NAME = re.compile(r"[a-z_]+(\.lightgbm)?\.(json|txt)|own_members\.skops")


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle.

    Parameters
    ----------
    models
        The fitted models.
    model_version
        Twelve hex digits, the hash of the files that predictions depend on.
    as_of
        Instant of the training, UTC.
    data_cutoff
        Time of the last event that the training used.
    card
        Evaluation, dates and notes for people to read: a
        :class:`stagecast.training.card.Card` as plain JSON, as an earlier version may have written
        it.
    money
        Currency and presence of the amounts that the training used.
    golden
        What it predicted for the golden customers where it was written
        (:mod:`stagecast.training.golden`); None: an earlier version wrote it.
    log_covariances
        Of the parameters of the customer-base models, on which no prediction depends
        (:mod:`stagecast.training.fitted.btyd`); None: an earlier version wrote it.
    """

    models: Models
    model_version: str
    as_of: datetime
    data_cutoff: datetime
    card: Mapping[str, Any]
    money: LogMoney = NOT_STATED
    golden: Mapping[str, Any] | None = None
    log_covariances: Covariances | None = None

    def __repr__(self) -> str:
        config = self.models.config
        return (
            f"Bundle({self.model_version}, as of {iso(self.clock.shop(self.as_of))}, horizon "
            f"{config.horizon_days}d, churn by {config.churn}, scheme {self.models.scheme.id})"
        )

    @property
    def clock(self) -> ShopClock:
        """Clock of the shop, whose days the models count."""
        return clock_named(self.models.config.zone)


def make_bundle(
    models: Models,
    as_of: datetime,
    data_cutoff: datetime,
    card: Card | Mapping[str, Any],
    money: LogMoney = NOT_STATED,
    log_covariances: Covariances | None = None,
) -> Bundle:
    """Return a bundle in memory, with the version that its files have.

    Parameters
    ----------
    card
        What people read; as plain JSON where it is that of a loaded bundle.
    money
        Currency and presence of the amounts that the training used.
    log_covariances
        Of the parameters of the customer-base models; None: not known.
    """
    as_of = clock_named(models.config.zone).instant(as_of)
    card = to_json(card) if isinstance(card, Card) else card
    return Bundle(
        models,
        _version(_files(models)),
        as_of,
        data_cutoff,
        card,
        money,
        log_covariances=log_covariances,
    )


def write_bundle(folder: Path, bundle: Bundle, own_members: OwnMembersFormat = "refuse") -> None:
    """Write a bundle into a new folder.

    The files are written to a draft folder beside it, which is renamed when it is complete.

    Parameters
    ----------
    own_members
        How the members of the user are written; ``refuse`` writes no bundle that has any.

    Raises
    ------
    UsageError
        The folder exists, or the model has members of the user that are not to be written.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists; give another folder, or remove it")
    files = {**_files(bundle.models), CARD: _json(bundle.card)}
    own = {**bundle.models.churn.own, **bundle.models.value.own}
    if own_members not in ("refuse", "skops"):
        raise UsageError(f"own_members={own_members!r} is neither 'refuse' nor 'skops'")
    if own and own_members == "refuse":
        raise UsageError(
            f"the model has members of your own ({', '.join(own)}), which are code and not data: "
            "nothing is written. Choose own_members='skops' to write them with skops; servers and "
            "commands refuse such a model, and sc.load loads it with allow_own_members=True only. "
            "Or fit without them"
        )
    if own:
        from stagecast.training.inactivity.own_files import write_estimators

        files[OWN_MEMBERS] = write_estimators(own)
    # of what will be read, so that the models that were given keep no trees that LightGBM loaded;
    # what a server or a command never loads needs none
    golden = None
    if not own:
        try:
            read_back = _models_of(_parsed(folder, MODELS, files[MODELS]), files)
        except (KeyError, TypeError, ValueError, AttributeError, DataRefusedError) as error:
            raise UsageError(f"{folder}: the models could not be read back ({error!r})") from error
        golden = golden_rows(read_back, bundle.as_of)
    covariances = bundle.log_covariances
    manifest = {
        "format": FORMAT,
        "model_version": bundle.model_version,
        "as_of": bundle.as_of.isoformat(),
        "data_cutoff": bundle.data_cutoff.isoformat(),
        "money": bundle.money.to_json(),
        **({"own_members": sorted(own)} if own else {}),
        **({} if golden is None else {"golden": golden}),
        **({} if covariances is None else {"log_covariances": _plain(covariances)}),
        "files": {
            name: {"sha256": _hash(data), "bytes": len(data)}
            for name, data in sorted(files.items())
        },
    }
    manifest[SEAL] = _seal(manifest)
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, data in {**files, MANIFEST: _json(manifest)}.items():
        (draft / name).write_bytes(data)
    draft.rename(folder)


def save_bundle(
    folder: Path,
    models: Models,
    as_of: datetime,
    data_cutoff: datetime,
    card: Card | Mapping[str, Any],
    money: LogMoney = NOT_STATED,
) -> Bundle:
    """Write a bundle into a new folder, as :func:`write_bundle`, and return it.

    Parameters are those of :func:`make_bundle`.

    Raises
    ------
    UsageError
        The folder exists.
    """
    if folder.exists():  # before the files are made
        raise UsageError(f"{folder} exists; give another folder, or remove it")
    bundle = make_bundle(models, as_of, data_cutoff, card, money)
    write_bundle(folder, bundle)
    return bundle


def load_bundle(folder: Path, allow_own_members: bool | Sequence[str] = False) -> Bundle:
    """Load a bundle.

    Parameters
    ----------
    allow_own_members
        Whether members of the user, which are code, may be loaded: True for classes of
        scikit-learn, SciPy and NumPy, or the names of further classes to trust. Whatever serves
        others leaves it False.

    Raises
    ------
    UsageError
        The folder does not exist or holds no bundle, or members of the user are not allowed.
    DataRefusedError
        A file is missing, was changed, or does not belong to a bundle of this format.
    """
    if not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} holds no bundle ({MANIFEST} is not there); give the folder that "
            "`stagecast train` wrote"
        )
    manifest = _parsed(folder, MANIFEST, _read(folder, MANIFEST))
    number = manifest.get("format")
    if type(number) is not int or not OLDEST_FORMAT <= number <= FORMAT:
        newer = type(number) is int and number > FORMAT
        raise DataRefusedError(
            f"{folder}: bundle format {number!r}, this version reads {_FORMATS}; "
            + ("install a newer stagecast" if newer else "train it again")
        )
    if manifest.get(SEAL, _seal(manifest)) != _seal(manifest):  # earlier versions wrote none
        raise DataRefusedError(
            f"{folder / MANIFEST} is not as it was written; copy the bundle again, or train it "
            "again"
        )
    own = _own_names(manifest, folder)
    if own and allow_own_members is False:
        raise UsageError(
            f"{folder} has members that its author wrote ({', '.join(own)}): they are code, and a "
            "server or a command never loads them. In Python, sc.load(folder, "
            "allow_own_members=True) does, if you trust the author; or fit the model without them"
        )
    try:
        entries = {
            str(name): (str(e["sha256"]), int(e["bytes"])) for name, e in manifest["files"].items()
        }
        files = {name: _checked(folder, name, *entry) for name, entry in entries.items()}
        version = str(manifest["model_version"])
        # skops writes other bytes each time; models.json has the fingerprint of what it writes
        hashed_files = {n: content for n, content in files.items() if n not in (CARD, OWN_MEMBERS)}
        if version != _version(hashed_files):
            raise DataRefusedError(
                f"{folder}: the model version {version} is not that of the files; train it again"
            )
        data = _parsed(folder, MODELS, files[MODELS])
        for older in range(number, FORMAT):
            data = UPGRADES[older](data)
        estimators = {}
        if own:
            from stagecast.training.inactivity.own_files import read_estimators

            trusted = () if isinstance(allow_own_members, bool) else tuple(allow_own_members)
            estimators = read_estimators(files[OWN_MEMBERS], own, trusted, folder)
        models = _models_of(data, files, estimators)
        bundle = Bundle(
            models,
            version,
            parse_instant(manifest["as_of"], MANIFEST),
            parse_instant(manifest["data_cutoff"], MANIFEST),
            _parsed(folder, CARD, files[CARD]),
            # bundles that were written before lack it
            LogMoney.from_json(manifest.get("money", {})),
            manifest.get("golden"),
            covariances_of("log_covariances", manifest["log_covariances"])
            if "log_covariances" in manifest
            else None,
        )
        # LightGBM, which is written in C, reads last: nothing is left to refuse
        for boosted in _ensembles(models).values():
            boosted.loaded()
        return bundle
    except OwnMembersError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise DataRefusedError(
            f"{folder}: not a bundle of this format ({error!r}); train it again"
        ) from error


def _models_json(models: Models) -> dict[str, Any]:
    def optional(model: Any) -> Any:
        return None if model is None else model.to_json()

    return {
        "config": models.config.to_json(),
        "scheme": scheme_to_json(models.scheme),
        "catalog": models.catalog.to_json(),
        "base": optional(models.base),
        "churn": models.churn.to_json(),
        "cancellation": optional(models.cancellation),
        "next_stage": models.next_stage.to_json(),
        "value": models.value.to_json(),
        "conversion": models.conversion.to_json(),
        "reference": models.reference.to_json(),
        "spend_interval": optional(models.spend_interval),
        "value_interval": optional(models.value_interval),
    }


def _files(models: Models) -> dict[str, bytes]:
    """Return the files that predictions depend on, by name."""
    return {MODELS: _json(_models_json(models)), **_trees(models)}


def _ensembles(models: Models) -> dict[str, Boosted]:
    """Return the ensembles that are stored in files of their own, by the name of the model."""
    hazard = models.churn.hazard
    boosted = {
        "churn": models.churn.trees,
        "churn_hazard": None if hazard is None else hazard.trees,
        "next_stage": models.next_stage.trees,
        **{f"value_{name}": trees for name, trees in models.value.trees.items()},
    }
    return {name: trees for name, trees in boosted.items() if trees is not None}


def _trees(models: Models) -> dict[str, bytes]:
    ensembles = _ensembles(models)
    return {f"{name}.lightgbm.txt": trees.text.encode() for name, trees in ensembles.items()}


def _own_names(manifest: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the names of the members of the user, as the manifest has them."""
    named = manifest.get("own_members", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise DataRefusedError(f"{folder}: own_members of {MANIFEST} are no list of names")
    return named


def _models_of(
    data: Mapping[str, Any], files: Mapping[str, bytes], own: Mapping[str, Any] | None = None
) -> Models:
    """Return the models of ``models.json`` with the trees of the other files."""
    trees = {name: files.get(f"{name}.lightgbm.txt") for name in MODELS_WITH_TREES}
    texts = {name: None if text is None else text.decode() for name, text in trees.items()}
    return _models(data, texts, own or {})


def _models(
    data: Mapping[str, Any], trees: Mapping[str, str | None], own: Mapping[str, Any]
) -> Models:
    if mismatched := sorted(set(data) ^ MODELS_KEYS):
        raise ValueError(f"{MODELS} lacks, or should not have, {mismatched}")
    config = TrainConfig.from_json(data["config"])
    if own:
        config = replace(config, members=config.members.with_estimators(own))
    catalog = Catalog.from_json(data["catalog"])
    base, spend, value = data["base"], data["spend_interval"], data["value_interval"]
    named = {name: trees[f"value_{name}"] for name in FACTORS}
    value_trees = {name: text for name, text in named.items() if text is not None}
    classifiers = {name: estimator for name, estimator in own.items() if "." not in name}
    regressors: dict[str, dict[str, Any]] = {}
    for name in own.keys() - classifiers.keys():
        factor, member = name.split(".", 1)
        regressors.setdefault(factor, {})[member] = own[name]
    models = Models(
        config=config,
        scheme=scheme_from_json(data["scheme"]),
        catalog=catalog,
        base=None if base is None else CustomerBase.from_json(base),
        churn=ChurnModel.from_json(
            data["churn"], trees["churn"], classifiers, trees["churn_hazard"]
        ),
        cancellation=None
        if data["cancellation"] is None
        else CancellationModel.from_json(data["cancellation"]),
        next_stage=NextStageModel.from_json(data["next_stage"], trees["next_stage"]),
        value=ValueModel.from_json(data["value"], value_trees, regressors),
        conversion=LeadConversion.from_json(data["conversion"]),
        reference=Reference.from_json(data["reference"]),
        spend_interval=None if spend is None else Intervals.from_json(spend),
        value_interval=None if value is None else Intervals.from_json(value),
    )
    used_columns = [boosted.columns for boosted in _ensembles(models).values()]
    if models.cancellation is not None:
        used_columns.append(models.cancellation.columns)
    if (config.churn == "cancellation") != (models.cancellation is not None):
        lacks = "lacks" if models.cancellation is None else "should not have"
        raise ValueError(
            f"{MODELS} {lacks} a model of cancellations, since churn is {config.churn}"
        )
    known = {*catalog.names, *models.scheme.signals}
    unknown = sorted(
        {name for names in used_columns for name in names if not name.startswith("btyd_")} - known
    )
    if unknown:
        raise ValueError(
            f"learned from features that its catalogue does not have: {', '.join(unknown)}"
        )
    return models


def _plain(covariances: Covariances) -> dict[str, Any]:
    return {name: None if m is None else m.tolist() for name, m in covariances.items()}


def _json(data: Any) -> bytes:
    # strict JSON: NaN or infinity fails here, where the bundle is written, not where it is read
    return (
        json.dumps(data, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    ).encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _version(files: Mapping[str, bytes]) -> str:
    """Return twelve hex digits of the hash over the names and contents of the files."""
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:12]


def _seal(manifest: Mapping[str, Any]) -> str:
    """Return the hash of a manifest: its as_of and data cutoff stand in no other file."""
    return _hash(_json({name: value for name, value in manifest.items() if name != SEAL}))


def bundle_digest(folder: Path) -> str:
    """Return the hash of a bundle: of its manifest, which has the hashes of its files.

    Raises
    ------
    DataRefusedError
        The manifest cannot be read.
    """
    return _hash(_read(folder, MANIFEST))


def _read(folder: Path, name: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise DataRefusedError(f"{folder}: '{name}' is no name of a file in a bundle")
    path = folder / name
    try:
        if not S_ISREG(path.stat().st_mode):
            raise DataRefusedError(f"{path} is no plain file; copy the bundle again, whole")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataRefusedError(
                f"{path} is larger than a bundle's files can be ({MAX_FILE_BYTES} bytes)"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataRefusedError(
            f"{path} cannot be read ({error.strerror}); copy the bundle again, whole"
        ) from error


def _checked(folder: Path, name: str, sha256: str, size: int) -> bytes:
    data = _read(folder, name)
    if len(data) != size or _hash(data) != sha256:
        raise DataRefusedError(
            f"{folder / name} is not as it was written (sha256 {_hash(data)[:12]}..., "
            f"expected {sha256[:12]}...); "
            "copy the bundle again, or train it again"
        )
    return data


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number that JSON knows")


def _parsed(folder: Path, name: str, data: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DataRefusedError(f"{folder / name} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise DataRefusedError(f"{folder / name} holds a {type(parsed).__name__}, not an object")
    return parsed
