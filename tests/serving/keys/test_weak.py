"""Keys of the settings that are refused, and those that are not."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest

from stagecast.features.errors import UsageError
from stagecast.serving.keys.weak import weakness
from stagecast.serving.settings import load_settings

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "key",
    [
        "a" * 40,
        "1234567890123456",
        "abcdefghijklmnopqrstuvwxyz",
        "zyxwvutsrqponmlkjihgfedcba9876543210",
        "0123456789abcdef0123456789abcdef",
        "changeme-changeme-1",
        "CHANGE_ME_PLEASE_42x",
        "my-secret-key-2026-xyz",
        "passwordpassword1Q",
        "your-api-key-goes-here",
        "stagecast-production-1",
        "k9#Lp2!xk9#Lp2!xk9#Lp2!x",
        "abababababababababab",
        "example-key-31f7c9b2",
    ],
)
def test_what_can_be_guessed_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("STAGECAST_API_KEYS", key)
    with pytest.raises(UsageError, match="STAGECAST_API_KEYS: key 1") as error:
        load_settings()
    assert key not in str(error.value)


def test_random_keys_are_accepted():
    makers = (secrets.token_hex, secrets.token_urlsafe)
    assert [weakness(make(24)) for make in makers for _ in range(300)] == [None] * 600


def test_no_key_that_a_document_shows_is_accepted():
    """A key in a document is one that everybody knows: only what a shell makes may stand there."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    shown = [
        key
        for path in documents
        for key in re.findall(r"STAGECAST_API_KEYS=\"?([^\s\"`]+)", path.read_text("utf-8"))
    ]
    assert shown
    assert [key for key in shown if weakness(key) is None] == []
