"""Why a request is refused: a status, a stable word for programs, what is wrong and the cure."""

from typing import Any

from ...images.decode import PictureError
from ...utils.errors import FakefaceError

# Of pictures by their reason; what is not here is a picture that was understood and cannot be used.
_STATUSES = {
    "too-many-bytes": 413,
    "too-many-pixels": 413,
    "not-a-picture": 415,
    "unsupported-format": 415,
    "unsupported-type": 415,
}
_UNUSABLE = 422


class RequestError(FakefaceError):
    """A request is refused; the message has the cure.

    Attributes:
        status: of HTTP, from 400.
        code: a short stable word, such as `queue-full`.
        retry_after: seconds after which the same request may do; `None` where it never will.
    """

    def __init__(self, status: int, code: str, problem: str, retry_after: int | None = None) -> None:
        super().__init__(problem)
        self.status, self.code, self.retry_after = status, code, retry_after


def status_of(error: RequestError | PictureError) -> int:
    """The status of HTTP that says what the error says."""
    return error.status if isinstance(error, RequestError) else _STATUSES.get(error.code, _UNUSABLE)


def told(error: FakefaceError, request_id: str) -> dict[str, Any]:
    """What a client reads of an error."""
    return {"code": error.code, "message": str(error), "cure": error.cure, "request_id": request_id}


__all__ = ["RequestError", "status_of", "told"]
