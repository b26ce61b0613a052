"""Members of the user on disk, written with skops: the only file here that holds code.

skops writes the objects that an estimator consists of, with the names of their classes, and reads
back classes that it trusts: those of scikit-learn, SciPy, NumPy and Python's own. Reading runs the
constructors of these classes, so it is left to those who trust the author of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stagecast.training.inactivity.members import OwnMembersError


def write_estimators(own: Mapping[str, Any]) -> bytes:
    """Return the estimators of these members as the content of a file.

    Raises
    ------
    OwnMembersError
        skops cannot write one of them, or is not installed.
    """
    io = _skops()
    data: dict[str, Any] = {name: member.estimator for name, member in own.items()}
    try:
        return bytes(io.dumps(data))
    except Exception as error:
        raise OwnMembersError(
            f"the members {', '.join(own)} cannot be written with skops "
            f"({type(error).__name__}: {error}); an estimator must consist of classes and "
            "functions that can be imported, not of lambdas"
        ) from error


def read_estimators(
    content: bytes, names: Sequence[str], trusted: Sequence[str], folder: Path
) -> dict[str, Any]:
    """Return the estimators of a file, by name of the member.

    Parameters
    ----------
    content
        What :func:`write_estimators` returned.
    names
        Of the members that the bundle has.
    trusted
        Names of classes to trust beside those of scikit-learn, SciPy and NumPy.
    folder
        Of the bundle, for messages.

    Raises
    ------
    OwnMembersError
        The file has classes that are not trusted, or is none of skops.
    """
    io = _skops()
    try:
        untrusted = set(io.get_untrusted_types(data=content))
    except Exception as error:
        raise OwnMembersError(
            f"{folder}: its own members cannot be read ({type(error).__name__}: {error}); save the "
            "model again"
        ) from error
    # skops itself does not trust all of scikit-learn, such as the trees of a forest
    of_sklearn = {name for name in untrusted if name.startswith("sklearn.")}
    if others := sorted(untrusted - of_sklearn - set(trusted)):
        raise OwnMembersError(
            f"{folder}: its own members consist of classes that are not trusted: "
            f"{', '.join(others)}. If you know and trust them, name them: "
            f"allow_own_members={others!r}"
        )
    try:
        estimators = io.loads(content, trusted=sorted(of_sklearn.union(trusted)))
    except Exception as error:
        raise OwnMembersError(
            f"{folder}: its own members cannot be read ({type(error).__name__}: {error}); load "
            "them with the versions of the packages that they were saved with"
        ) from error
    if not isinstance(estimators, dict) or sorted(estimators) != sorted(names):
        raise OwnMembersError(f"{folder}: its own members are not {', '.join(names)}")
    return estimators


def _skops() -> Any:
    try:
        from skops import io  # type: ignore[import-untyped]  # it has no types
    except ImportError:
        raise OwnMembersError(
            "members of your own are written and read with skops: pip install skops"
        ) from None
    return io
