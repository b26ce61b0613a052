"""Settings of the server, the command line and tracking, in one validated object.

No other module reads environment variables.
"""

from __future__ import annotations

import ipaddress
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
from stagecast.serving.keys.weak import weakness

PREFIX = "STAGECAST_"


def store_url(text: str) -> str:
    """Return an SQLAlchemy URL for the path of an SQLite file; a URL is returned unchanged.

    >>> store_url("stagecast.db"), store_url("/var/lib/stagecast.db")
    ('sqlite:///stagecast.db', 'sqlite:////var/lib/stagecast.db')
    >>> store_url("postgresql+psycopg://shop@db/stagecast")
    'postgresql+psycopg://shop@db/stagecast'
    """
    return text if "://" in text else f"sqlite:///{text}"


def _split_list(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


class Settings(BaseSettings):
    """Settings that the environment can set: ``STAGECAST_`` and the name of a field in capitals.

    Parameters
    ----------
    store
        SQLAlchemy URL, or the path of an SQLite file, of the published scores.
    host, port
        Address at which the server listens.
    workers
        Number of processes that answer at the address.
    follow_seconds
        How often the server looks whether another model stands where its own came from, in seconds;
        None: it serves the model of its start.
    shadow
        Bundle folder, or ``models:/NAME@ALIAS``, of a model that is scored beside and never
        answers; None: there is none.
    shadow_share
        Share of the requests for scores that it scores, above 0, up to 1.
    canary_share
        Share of the customers whom a model that the server follows answers at first, above 0, below
        1; None: it answers all at once.
    canary_customers, canary_minutes
        How many customers both models must have scored, and how long it takes at least, before the
        new one answers all.
    canary_psi, canary_difference, canary_agreement, canary_money
        Limits beyond which it is rolled back: population stability index of each probability beyond
        chance, mean absolute difference of the churn probability, share of equal churn bands, ratio
        of the mean clv and expected spend.
    canary_ranks, canary_slower, canary_errors
        As well: correlation of ranks of each number, processor time over the old model's, customers
        at whom it alone fails.
    model
        Bundle folder. None: the server shows published scores and cannot score events.
    api_keys
        Keys of at least 16 characters, comma-separated, which may do everything. None, and none in
        the store: only this machine may connect.
    api_keys_file
        File with one key per line, added to ``api_keys``; lines that begin with # are comments.
    allowed_hosts
        Host names, comma-separated, that a request may name in addition to those of this machine.
    trusted_proxies
        Addresses or networks, comma-separated, whose X-Forwarded-For and X-Forwarded-Proto are
        believed.
    requests_per_minute
        Most requests of one key, over all workers; None: as many as it likes.
    audit_log
        File to which the lines of changes are added; None: stderr.
    access_log
        Whether each request is a line on stderr, with the template of its route for the path.
    mcp
        Whether MCP clients may call tools at /mcp.
    telemetry_url
        Address of a collector of OpenTelemetry (OTLP over HTTP) that gets a span for each request;
        None: nothing is sent.
    telemetry_share
        Share of the requests that get a span, above 0, up to 1; those of a caller who traces follow
        the caller.
    tracking_uri
        MLflow server or file. ``MLFLOW_TRACKING_URI`` is read if ``STAGECAST_TRACKING_URI`` is not
        set.
    tracking_seconds
        How long MLflow may take to log a finished training or backtest, in seconds.
    max_body_bytes
        Maximum length of a request body, in bytes.
    max_job_bytes
        Maximum length of the body of a job, in bytes.
    read_only
        Whether the store is only read, as a replica is; what writes is refused.
    requests_at_once
        Most requests that are handled at once; others are answered 503 with Retry-After.
    head_seconds, body_seconds
        How long a client may take for the headers of a request, and for its body.
    drain_seconds
        How long a server that is told to stop listens, not ready any more, before it stops.
    webhook_url, webhook_secret
        Address to which plans and moves of customers are sent, and the secret of the signature, at
        least 24 characters; None: nothing is sent.
    webhook_min_step
        Least change of the churn probability with which a change of band is sent, 0 to 1.

    Raises
    ------
    pydantic.ValidationError
        A value cannot be used; :func:`load_settings` turns it into a UsageError.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", populate_by_name=True
    )

    store: str = "sqlite:///stagecast.db"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=256)
    follow_seconds: float | None = Field(default=None, ge=1, le=86_400)
    shadow: str | None = None
    shadow_share: float = Field(default=0.1, gt=0, le=1)
    canary_share: float | None = Field(default=None, gt=0, lt=1)
    canary_customers: int = Field(default=500, ge=50, le=1_000_000)
    canary_minutes: float = Field(default=10.0, ge=0, le=100_000)
    canary_psi: float = Field(default=0.25, gt=0)
    canary_difference: float = Field(default=0.1, gt=0, le=1)
    canary_agreement: float = Field(default=0.7, ge=0, le=1)
    canary_money: float = Field(default=1.5, gt=1)
    canary_ranks: float = Field(default=0.7, ge=-1, le=1)
    canary_slower: float = Field(default=5.0, gt=1)
    canary_errors: int = Field(default=0, ge=0)
    model: Path | None = None
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    api_keys_file: Path | None = None
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    audit_log: Path | None = None
    access_log: bool = False
    mcp: bool = False
    telemetry_url: str | None = Field(default=None, pattern=r"^https?://[^\s/]+")
    telemetry_share: float = Field(default=1.0, gt=0, le=1)
    tracking_uri: str = Field(
        default="sqlite:///mlflow.db",
        validation_alias=AliasChoices(f"{PREFIX}TRACKING_URI", "MLFLOW_TRACKING_URI"),
    )
    tracking_seconds: float = Field(default=120, gt=0, le=3600)
    read_only: bool = False
    requests_at_once: int = Field(default=64, ge=1, le=100_000)
    head_seconds: float = Field(default=10.0, gt=0, le=600)
    body_seconds: float = Field(default=30.0, gt=0, le=3_600)
    drain_seconds: float = Field(default=0.0, ge=0, le=600)
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=1024**3)
    max_job_bytes: int = Field(default=64 * 1024 * 1024, ge=1024, le=1024**3)
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    webhook_min_step: float = Field(default=0.1, ge=0, le=1)

    @field_validator("store")
    @classmethod
    def _normalize_store(cls, value: str) -> str:
        return store_url(value)

    @field_validator("api_keys", "allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split_text(cls, value: Any) -> Any:
        return _split_list(value) if isinstance(value, str) else value

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
        keys = values.get("api_keys") or ()
        file_keys = [
            line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")
        ]
        return {
            **values,
            "api_keys": [*(_split_list(keys) if isinstance(keys, str) else keys), *file_keys],
        }

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for position, key in enumerate(keys, start=1):
            problem = weakness(key.get_secret_value())
            if problem is not None:
                raise ValueError(
                    f"key {position} {problem}; make one with: openssl rand -hex 24, or keep keys "
                    "in the store with: stagecast keys create"
                )
        return keys

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for text in networks:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise ValueError(
                    f"'{text[:100]}' is no address and no network; write like 10.0.0.7 or "
                    "10.0.0.0/8"
                ) from None
        return networks

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys as plain text; ``repr`` of the settings hides them."""
        return tuple(key.get_secret_value() for key in self.api_keys)


def _error_message(error: dict[str, Any], options: dict[str, Any]) -> str:
    location = error["loc"]
    problem = str(error["msg"]).removeprefix("Value error, ")
    if not location:
        return problem
    field = str(location[0])
    variable = field if field.isupper() else PREFIX + field.upper()
    name = f"--{field.replace('_', '-')}" if field in options else variable
    value = "" if field.startswith("api_keys") else f" '{str(error['input'])[:100]}'"
    return f"{name}{value}: {problem}"


def load_settings(**options: Any) -> Settings:
    """Return the settings from the options, else from the environment, else the defaults.

    Parameters
    ----------
    **options
        Fields of :class:`Settings`, as the command line sets them; None leaves a field to the
        environment.

    Raises
    ------
    UsageError
        A value cannot be used; the message names the option or the variable, never a key.
    """
    set_options = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**set_options)
    except ValidationError as error:
        messages = [_error_message(dict(item), set_options) for item in error.errors()]
        raise UsageError("; ".join(messages)) from None


def keep_mlflow_quiet() -> None:
    """Turn off MLflow's telemetry and progress bars, and let it give up soon on a server that does
    not answer; call it before MLflow is imported. What the environment says is not changed.
    """
    for name, value in _MLFLOW.items():
        os.environ.setdefault(name, value)


def mlflow_environment(seconds: float) -> dict[str, str]:
    """Return the environment of a process that has so many seconds to log to MLflow."""
    patience = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, int(seconds)))}
    return {**_MLFLOW, **patience, **os.environ}


_MLFLOW = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
