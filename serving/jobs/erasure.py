"""One customer erased from what was named, and from what is ours by default."""

from __future__ import annotations

from stagecast.features.intake.options import ReadOptions
from stagecast.serving.erasure.csv_logs import LogOptions
from stagecast.serving.erasure.erase import Confirm, Outcome, erase
from stagecast.serving.erasure.identity import Customer
from stagecast.serving.erasure.places import Request
from stagecast.serving.requests import ErasureRequest
from stagecast.serving.settings import keep_mlflow_quiet, load_settings


def erase_customer(
    request: ErasureRequest, confirm: Confirm, *, dry_run: bool = False
) -> Outcome | None:
    """Remove a customer and search for what is left; None: it was not confirmed.

    Parameters
    ----------
    confirm
        Is called with how many rows go from how many places, and answers whether they may.
    dry_run
        Count, and change nothing.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The id, the encoding or the separator cannot be used, or a place that was named is not
        there, or is not what it should be.
    """
    options = ReadOptions(
        encoding=request.encoding, separator=request.separator, header_line=request.header_line
    )
    log_options = LogOptions(
        Customer.parse(request.customer_id),
        request.customer,
        options.encoding,
        options.field_separator,
        request.include_malformed,
        options.header_line,
    )
    settings = load_settings(store=request.store, tracking_uri=request.tracking_uri)
    keep_mlflow_quiet()
    named = frozenset(
        name for name in ("store", "tracking_uri") if getattr(request, name) is not None
    )
    places = Request(
        log_options,
        request.events,
        request.run_folders,
        settings.store,
        settings.tracking_uri,
        named,
    )
    return erase(places, dry_run=dry_run, confirm=confirm)
