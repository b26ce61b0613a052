"""``stagecast keys``: the secret is shown once, and nowhere else."""

from __future__ import annotations

import json

import pytest

from stagecast.features.errors import UsageError
from stagecast.serving.cli import cli


@pytest.fixture
def keys(tmp_path, capsys, monkeypatch):
    """Run a subcommand on a store of the test, and return what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAGECAST_AUDIT_LOG", str(tmp_path / "audit.log"))

    def run(*args: str) -> str:
        cli(["keys", *args, "--store", str(tmp_path / "keys.db")], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_a_key_is_made_listed_rotated_and_revoked(keys, tmp_path):
    made = json.loads(keys("create", "shop", "--scopes", "read,score", "--json"))
    assert made["key"].startswith(made["id"] + ".")
    assert made["scopes"] == ["score", "read"]
    assert made["expires_at"] is not None
    new = json.loads(keys("rotate", made["id"], "--overlap", "2d", "--json"))
    listed = {key["id"]: key for key in json.loads(keys("list", "--json"))}
    assert {key["state"] for key in listed.values()} == {"live"}
    assert "revoked" in keys("revoke", made["key"])  # the whole key may be given
    text = keys("list")
    for shown in (text, json.dumps(listed), (tmp_path / "audit.log").read_text()):
        assert made["key"].partition(".")[2] not in shown
        assert new["key"].partition(".")[2] not in shown
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [(line["event"], line["change"], line["subject"]) for line in lines] == [
        ("keys", "create", made["id"]),
        ("keys", "rotate", new["id"]),
        ("keys", "revoke", made["id"]),
    ]


def test_a_key_that_never_expires_is_asked_for_by_that_word(keys):
    made = json.loads(keys("create", "shop", "--scopes", "read", "--expires", "never", "--json"))
    assert made["expires_at"] is None
    assert json.loads(keys("rotate", made["id"], "--json"))["expires_at"] is None


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("create", "shop", "--scopes", "reed"), "Did you mean 'read'"),
        (("create", "shop", "--scopes", "read", "--expires", "3"), "unit is missing"),
        (("create", "shop", "--scopes", "read", "--expires", "99999d"), "beyond 3650 days"),
        (("revoke", "3f9c0a41b2d7"), "no key '3f9c0a41b2d7'"),
        (("rotate", "3f9c0a41b2d7." + "Z" * 43), "no key '3f9c0a41b2d7'"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_secret(keys, args, says):
    with pytest.raises(UsageError, match=says) as error:
        keys(*args)
    assert "ZZZ" not in str(error.value)
