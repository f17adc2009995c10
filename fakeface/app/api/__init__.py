"""The service for programs, without a page: pictures in over HTTP, results out as JSON, batches over all clients.

`running` runs it as a process of its own, what `fakeface serve` does; `routes` makes the ASGI application for other
servers; `batching` judges. Gradio is not imported.
"""

from typing import TYPE_CHECKING

from ...utils.lazy import lazy_names

if TYPE_CHECKING:
    from .batching import Batcher, Options
    from .routes import make_app
    from .running import serve

__all__ = ["Batcher", "Options", "make_app", "serve"]

__getattr__ = lazy_names(__name__, {"batching": ["Batcher", "Options"], "routes": ["make_app"], "running": ["serve"]})
