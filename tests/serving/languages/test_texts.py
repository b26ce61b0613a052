"""Every text is there in every language, with the same values to fill in and all plural forms."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from babel import Locale

from stagecast.features.stages.scheme_files import known_schemes, load_scheme
from stagecast.serving.languages.display import LANGUAGES, Display
from stagecast.serving.languages.sentences import in_language
from stagecast.serving.languages.texts import FOLDER, texts_of
from stagecast.serving.targeting.plan.suppression import REASONS
from stagecast.training.reasons.wordings import FOLDER as REASONS_FOLDER
from stagecast.training.reasons.wordings import PLURALS, wording

OTHERS = tuple(language for language in LANGUAGES if language != "en")
FORMS = {"zero", "one", "two", "few", "many", "other"}
FIELD = re.compile(r"\{(\w*)\}")
LOCAL_FORMATS = {"plural", "thousands", "decimal", "percent", "digits", "amount", "signs"}
"""Keys of the wording of reasons that are no texts."""


def leaves(texts: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in texts.items():
        if isinstance(value, Mapping) and not set(value) <= FORMS:
            yield from leaves(value, f"{path}.{key}")
        else:
            yield f"{path}.{key}", value


def fields(text: Any) -> set[str]:
    parts = text if isinstance(text, list) else text.values() if isinstance(text, dict) else [text]
    return {field for part in parts for field in FIELD.findall(part)}


def both(language: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    yield dict(leaves(texts_of("en"))), dict(leaves(texts_of(language)))
    english, own = (
        dict(leaves(tomllib.loads((REASONS_FOLDER / f"{name}.toml").read_text("utf-8"))))
        for name in ("en", language)
    )
    skipped = {f".{key}" for key in LOCAL_FORMATS}
    yield (
        {key: text for key, text in english.items() if key not in skipped},
        {key: text for key, text in own.items() if key.split(".")[1] not in LOCAL_FORMATS},
    )


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_there_with_the_same_values_and_all_plural_forms(language: str) -> None:
    needed = {"one", "few", "many", "other"} if language == "ru" else {"one", "other"}
    for english, own in both(language):
        assert set(own) == set(english)
        for key, text in own.items():
            # a sentence may leave the number out where its place in the page says it
            assert fields(text) - {"n"} == fields(english[key]) - {"n"}, key
            if isinstance(text, dict):
                assert set(text) - {"zero"} == needed, key
                assert ("zero" in text) == ("zero" in english[key]), key
            if isinstance(text, list):
                assert len(text) == len(english[key]), key


@pytest.mark.parametrize("language", OTHERS)
def test_no_text_is_left_in_english(language: str) -> None:
    technical = re.compile(
        r"\{\w*\}|stagecast( plan( readout)?)?|--effects assumed|--\w+|"
        r"[\w-]+\.(json|parquet)|API|AUC|RFM|CSV|JSON|"
        r"MQL|SQL|HTTP|BTYD|SHA-256|JavaScript|problem details|RFC 9457|Authorization: Bearer KEY|"
        r"X-API-Key: KEY|EVENTS|XLSX|COL|LightGBM|Gamma-Gamma|Kaplan-Meier|Holm|"
        r"\bclv\b|\bchannel\b|\bfrom\b|\bto\b|\bcost\b|\b[AD]\b"
    )
    for _, own in both(language):
        for key, text in own.items():
            parts = text.values() if isinstance(text, dict) else [text]
            for part in parts:
                said = technical.sub("", " ".join(part) if isinstance(part, list) else part)
                assert not re.search(r"[A-Za-z]{2,}", said), (key, said)


def test_the_schemes_of_the_package_have_all_texts_in_all_languages() -> None:
    for name in known_schemes():
        scheme = load_scheme(name)
        texts = [
            scheme.title,
            *(text for s in scheme.stages for text in (s.title, s.meaning, s.action)),
        ]
        texts += [play.title for play in scheme.plays]
        texts += [play.action for play in scheme.plays if play.action]
        for text in texts:
            assert set(text) == set(LANGUAGES), (name, text)
            assert all(text.values())


def test_every_reason_to_leave_a_customer_out_has_words() -> None:
    assert texts_of("en")["left_out"] == REASONS


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rules_of_plural_forms_are_those_of_the_unicode_cldr(language: str) -> None:
    rule, cldr = PLURALS[wording(language).plural], Locale(language).plural_form
    for number in (*range(231), 1000, 1001, 1_000_001):
        ours = rule(float(number))
        # Babel knows a form for a million, which is the same word in all texts here
        theirs = cldr(number) if cldr(number) in ("one", "few", "many") else "other"
        assert ours == theirs, number
    if language != "en":
        assert rule(2.5) == "other"


@pytest.mark.parametrize("language", OTHERS)
def test_each_stored_sentence_is_known_again_and_any_other_is_marked(language: str) -> None:
    display = Display(language)  # type: ignore[arg-type]
    for key, english in texts_of("en")["sentences"].items():
        filled = FIELD.sub("12", english)
        said = in_language(f"{filled} {filled}", display)
        assert filled not in said, key
        assert said == " ".join(
            [FIELD.sub(display.written("12"), texts_of(language)["sentences"][key])] * 2
        )
    assert in_language("Any <b>.", display) == '<bdi lang="en" dir="ltr">Any &lt;b&gt;.</bdi>'


def test_the_locales_are_the_languages_of_pages() -> None:
    for folder in (FOLDER / "locales", FOLDER / "locales" / "report"):
        assert {path.stem for path in folder.glob("*.toml")} == set(LANGUAGES)


@pytest.mark.parametrize(
    ("language", "names"), [("ru", "«Спящий», «Потерянный»"), ("fa", "«خفته»، «از دست رفته»")]
)
def test_names_in_quotes_are_each_translated_and_quoted(language: str, names: str) -> None:
    english = (
        "However long a silence lasts, this log does not show that at most half of the customers "
        "order again within a year (upper 95 % bound, from at least 30 silences): nobody is on "
        "'Sleeping', 'Lost'."
    )
    said = in_language(english, Display(language))
    assert names in said
    assert "'" not in said
