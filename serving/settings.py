"""Settings of the server, the command line and tracking: one validated object.

The only place that reads the environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from stagecast.features.errors import UsageError

PREFIX = "STAGECAST_"
KEY_LENGTH_MIN = 16


def store_url(text: str) -> str:
    """Return a path or an SQLAlchemy URL as an SQLAlchemy URL.

    >>> store_url("stagecast.db"), store_url("/var/lib/stagecast.db")
    ('sqlite:///stagecast.db', 'sqlite:////var/lib/stagecast.db')
    >>> store_url("postgresql+psycopg://shop@db/stagecast")
    'postgresql+psycopg://shop@db/stagecast'
    """
    return text if "://" in text else f"sqlite:///{text}"


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


class Settings(BaseSettings):
    """Everything that can be set from outside; each field is read from ``STAGECAST_`` and its name
    in capitals.

    Parameters
    ----------
    store
        SQLAlchemy URL, or the path of an SQLite file, of the published scores.
    host, port
        where the server listens.
    model
        bundle folder; None: the server shows published scores and cannot score events.
    api_keys
        keys of at least 16 characters, comma-separated; none: only this machine may connect.
    api_keys_file
        file with one key per line, lines with # are comments; added to ``api_keys``.
    allowed_hosts
        host names, comma-separated, that a request may name besides this machine's own.
    tracking_uri
        MLflow server or file; ``MLFLOW_TRACKING_URI`` is read where ``STAGECAST_TRACKING_URI`` is
        not set.
    max_body_bytes
        longest request body, in bytes.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", populate_by_name=True
    )

    store: str = "sqlite:///stagecast.db"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    model: Path | None = None
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    api_keys_file: Path | None = None
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    tracking_uri: str = Field(
        default="sqlite:///mlflow.db",
        validation_alias=AliasChoices(f"{PREFIX}TRACKING_URI", "MLFLOW_TRACKING_URI"),
    )
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=1024**3)

    @field_validator("store")
    @classmethod
    def _url(cls, value: str) -> str:
        return store_url(value)

    @field_validator("api_keys", "allowed_hosts", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        return _split(value) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _read_key_file(cls, values: Any) -> Any:
        path = values.get("api_keys_file") if isinstance(values, dict) else None
        if path is None:
            return values
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file of API keys '{path}' cannot be read: {error}") from None
        given = values.get("api_keys") or ()
        in_file = [
            line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")
        ]
        return {
            **values,
            "api_keys": [*(_split(given) if isinstance(given, str) else given), *in_file],
        }

    @field_validator("api_keys")
    @classmethod
    def _strong(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for position, key in enumerate(keys, start=1):
            text = key.get_secret_value()
            if len(text) < KEY_LENGTH_MIN:
                raise ValueError(
                    f"key {position} has {len(text)} characters; at least "
                    f"{KEY_LENGTH_MIN} are needed"
                )
            if not text.isascii() or not text.isprintable() or " " in text:
                raise ValueError(f"key {position} has blanks or other than plain ASCII characters")
        return keys

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys in clear; they are hidden in ``repr``."""
        return tuple(key.get_secret_value() for key in self.api_keys)


def _complaint(error: dict[str, Any], given: dict[str, Any]) -> str:
    where = error["loc"]
    what = str(error["msg"]).removeprefix("Value error, ")
    if not where:
        return what
    field = str(where[0])
    variable = field if field.isupper() else PREFIX + field.upper()
    name = f"--{field.replace('_', '-')}" if field in given else variable
    value = "" if field.startswith("api_keys") else f" '{str(error['input'])[:100]}'"
    return f"{name}{value}: {what}"


def load_settings(**given: Any) -> Settings:
    """Return the settings: what is given (the command line), else the environment, else the
    defaults.

    Parameters
    ----------
    **given
        fields of :class:`Settings`; None means not given.

    Raises
    ------
    UsageError
        A value cannot be used; the message names the option or the variable, never a key.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**chosen)
    except ValidationError as error:
        complaints = [_complaint(dict(item), chosen) for item in error.errors()]
        raise UsageError("; ".join(complaints)) from None


def keep_mlflow_quiet() -> None:
    """Tell MLflow, before it is imported, to send nothing about its use to anybody and to draw
    no progress bars.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
