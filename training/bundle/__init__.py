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

    files (names, bytes, hashes) <- stored_models <- bundle <- writing, reading -> formats
"""

from stagecast.training.bundle.bundle import Bundle, make_bundle
from stagecast.training.bundle.files import (
    CARD,
    MANIFEST,
    MAX_FILE_BYTES,
    MODELS,
    SEAL,
    bundle_digest,
)
from stagecast.training.bundle.formats import FORMAT, OLDEST_FORMAT
from stagecast.training.bundle.reading import load_bundle
from stagecast.training.bundle.writing import OwnMembersFormat, save_bundle, write_bundle

__all__ = [
    "CARD",
    "FORMAT",
    "MANIFEST",
    "MAX_FILE_BYTES",
    "MODELS",
    "OLDEST_FORMAT",
    "SEAL",
    "Bundle",
    "OwnMembersFormat",
    "bundle_digest",
    "load_bundle",
    "make_bundle",
    "save_bundle",
    "write_bundle",
]
