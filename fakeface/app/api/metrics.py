"""Figures of the service in the text format of Prometheus. None of them names a picture or a client."""

from collections.abc import Callable

from ...utils.errors import FakefaceError

_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts what the service does.

    Args:
        pending: tells how many pictures have a place and are not yet judged.

    Attributes:
        requests: answered, by `path` and `status`.
        seconds: from a request for judgement to its answer, by `status`.
        verdicts: given, by `verdict`.
        refusals: of requests and of pictures, by `code`.
        batches: sizes in pictures.
        content_type: of `text`.

    Raises:
        FakefaceError: prometheus-client is missing.
    """

    def __init__(self, pending: Callable[[], float]) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
            from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
        except ImportError:
            raise FakefaceError('the service needs prometheus-client; pip install "fakeface[serve]"') from None
        registry = self._registry = CollectorRegistry()  # the library's own is shared by all services of a process
        self._generate, self.content_type = generate_latest, CONTENT_TYPE_LATEST
        self.requests = Counter("fakeface_requests", "Requests answered.", ["path", "status"], registry=registry)
        self.seconds = Histogram(
            "fakeface_request_seconds", "Seconds from a request to judge to its answer.", ["status"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.verdicts = Counter("fakeface_verdicts", "Pictures judged.", ["verdict"], registry=registry)
        self.refusals = Counter("fakeface_refusals", "Requests and pictures refused.", ["code"], registry=registry)
        self.batches = Histogram(
            "fakeface_batch_pictures", "Pictures judged together.", buckets=_BATCHES, registry=registry
        )
        queue = Gauge("fakeface_queue_pictures", "Pictures accepted and not yet judged.", registry=registry)
        queue.set_function(pending)
        ProcessCollector(registry=registry)

    def text(self) -> bytes:
        """All figures, as they are now."""
        return self._generate(self._registry)


__all__ = ["Metrics"]
