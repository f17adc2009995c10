"""What the Hub's client says when something goes wrong, in words with a cure; and whether to try again.

No message holds a token: addresses lose what stands behind their question mark, where storage puts its signatures.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ..utils.errors import FakefaceError

TRIES = 8
LONGEST_WAIT = 4.0  # seconds between two tries
PASSING = (408, 429, 500, 502, 503, 504)  # HTTP answers that another try may not meet
_SIGNATURES = re.compile(r"\?[^\s'\"]*")

Answer = TypeVar("Answer")
logger = logging.getLogger(__name__)


class HubError(FakefaceError):
    """The Hub did not do what was asked; the message names the repository and the cure."""


def insist(call: Callable[[], Answer]) -> Answer:
    """What the call returns, tried again while its failure may pass: server errors, a connection that broke.

    Only for calls that may be made twice.
    """
    for attempt in range(TRIES - 1):
        try:
            return call()
        except Exception as error:
            if not may_pass(error):
                raise
            wait(attempt, error)
    return call()


def wait(attempt: int, error: Exception) -> None:
    """After try number `attempt`, from 0: half a second, then twice as long each time; says what for."""
    seconds = min(LONGEST_WAIT, 0.5 * 2**attempt)
    logger.warning("the Hub did not answer as it should (%s); trying again in %g s", first_line(error), seconds)
    time.sleep(seconds)


def may_pass(error: BaseException | None) -> bool:
    """Whether an error of the client, or one that it came from, is one of the line or of a server in trouble."""
    from huggingface_hub import errors

    while error is not None:
        if isinstance(error, errors.HfHubHTTPError):
            return error.response.status_code in PASSING
        # No JSON is what a server in trouble answers, and not all of the client looks at the status first.
        if isinstance(error, (ConnectionError, TimeoutError, json.JSONDecodeError, *_transport_errors())):
            return True
        error = error.__cause__
    return False


def _transport_errors() -> tuple[type[BaseException], ...]:
    """Of the HTTP library that the client speaks through: httpx, or httpx2 from huggingface_hub 2 on."""
    from huggingface_hub import errors

    base = errors.HfHubHTTPError.__bases__[0]  # HTTPError of that library
    return tuple(kind for kind in base.__subclasses__() if kind.__name__ == "RequestError")


def first_line(error: BaseException) -> str:
    """What an error says, or its class, without signatures."""
    return _SIGNATURES.sub("", str(error).splitlines()[0] if str(error) else type(error).__name__)


@contextmanager
def clear_hub_errors(repo: str) -> Iterator[None]:
    """Errors of the Hub's client as HubError; others pass."""
    from huggingface_hub import errors

    log_in = "needs a token: run `hf auth login` first"
    cures = (
        (errors.HFValidationError, "is not the name of a repository; it takes the form OWNER/NAME"),
        (errors.LocalTokenNotFoundError, log_in),
        (errors.OfflineModeIsEnabled, "cannot be reached: HF_HUB_OFFLINE is set; unset it"),
        (errors.GatedRepoError, "asks you to accept its terms: do that on its page, then run `hf auth login`"),
        (errors.RepositoryNotFoundError, "is not there, or not for you: check the name, or run `hf auth login`"),
        (errors.RevisionNotFoundError, "has no such branch, tag or commit; check the `revision`"),
        (errors.HfHubHTTPError, "was refused by the Hub"),
    )
    try:
        yield
    except Exception as raised:
        # The client wraps what went wrong with the upload of one file.
        wrapped = isinstance(raised, RuntimeError) and isinstance(raised.__cause__, errors.HfHubHTTPError)
        error = raised.__cause__ if wrapped and raised.__cause__ else raised
        if type(error) is errors.HfHubHTTPError and error.response.status_code == 401:
            raise HubError(f"{repo}: {log_in}") from None
        for kind, cure in cures:
            if isinstance(error, kind):
                detail = f" ({first_line(error)})" if kind is errors.HfHubHTTPError else ""
                raise HubError(f"{repo}: {cure}{detail}") from None
        if isinstance(error, (OSError, errors.HfHubHTTPError.__bases__[0])) or may_pass(error):
            why = first_line(error)
            raise HubError(f"{repo}: the Hub cannot be reached ({why}); check the network, and try again") from None
        raise


__all__ = ["HubError", "clear_hub_errors", "first_line", "insist", "may_pass", "wait"]
