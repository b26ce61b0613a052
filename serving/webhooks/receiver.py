"""Where webhooks are sent, as the settings say it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import urlsplit

from stagecast.features.errors import UsageError
from stagecast.serving.settings import Settings

SECRET_LENGTH_MIN = 24
PREFIX = "whsec_"
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Receiver:
    """Where webhooks are sent.

    Parameters
    ----------
    url
        Address, ``https://`` or, on this machine, ``http://``.
    secret
        Shared secret of the signature, at least 24 characters.
    min_step
        Least change of the churn probability with which a change of band is told, 0 to 1.
    """

    url: str
    secret: str
    min_step: float = 0.1


def receiver_of(settings: Settings) -> Receiver | None:
    """Return where webhooks are sent; None: nowhere.

    Raises
    ------
    UsageError
        The address is not https (or http to this machine), or the secret is missing or short.
    """
    url = settings.webhook_url
    if url is None:
        return None
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and parts.hostname in THIS_MACHINE
    if not (parts.scheme == "https" and parts.hostname) and not is_local:
        raise UsageError(
            f"STAGECAST_WEBHOOK_URL '{url[:100]}' is neither https nor http to this machine; "
            "customers' scores are sent there"
        )
    secret = "" if settings.webhook_secret is None else settings.webhook_secret.get_secret_value()
    if secret.startswith(PREFIX) and not _is_base64(secret.removeprefix(PREFIX)):
        raise UsageError("STAGECAST_WEBHOOK_SECRET begins with whsec_, and is no Base64 after it")
    if len(secret) < SECRET_LENGTH_MIN:
        raise UsageError(
            f"STAGECAST_WEBHOOK_SECRET has {len(secret)} characters; at least {SECRET_LENGTH_MIN} "
            'are needed, like "$(openssl rand -hex 24)"'
        )
    return Receiver(url, secret, settings.webhook_min_step)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True
