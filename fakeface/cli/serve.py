"""The commands that go on until they are stopped: `fakeface demo`, a page, and `fakeface serve`, for programs."""

from functools import partial
from typing import Annotated

import typer

from ..detector.points import DEFAULT
from .options import Cascade, Device, Fast, Model, Point, open_detector, refuse_unclear
from .terminal import clear_refusals


def demo(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on; by default that of PORT, else 7860.")
    ] = None,
    fast: Fast = False,
    operating_point: Annotated[
        str | None, typer.Option(help="strict, default or triage; by default that of FAKEFACE_OPERATING_POINT.")
    ] = None,
) -> None:
    """Serve the page of the Space on this machine. FAKEFACE_MODEL names another model."""
    from ..app import main as serve

    serve(port, fast, operating_point)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for one that is free.")] = 8000,
    model: Model = None,
    fast: Fast = False,
    cascade: Cascade = None,
    operating_point: Point = DEFAULT,
    device: Device = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="auto, the quickest for the device; by default float32, for the very scores of predict."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures to a batch, and faces per pass of the model.")] = 16,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, help="Milliseconds that a picture waits for others to share its batch.")
    ] = 5.0,
    queue: Annotated[
        int, typer.Option(min=1, help="Pictures accepted and not yet judged; further ones are sent away with 429.")
    ] = 64,
    max_bytes: Annotated[int, typer.Option(min=1, help="Of the body of a request.")] = 20 * 2**20,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds for a body to arrive, and then for its pictures to be judged.")
    ] = 30.0,
) -> None:
    """Serve verdicts to programs over HTTP, without a page.

    POST a picture to /v1/judge; pictures of all clients share batches. There are /healthz, /readyz and, for Prometheus,
    /metrics. It needs pip install "fakeface[serve]". SIGTERM ends it once all that was accepted is answered. Exit code
    0, or 2 if the model or an option is wrong.
    """
    with clear_refusals():
        refuse_unclear(model, fast, bool(cascade))
        from ..app.api.batching import MOST_FACES, Options
        from ..app.api.running import serve as serve_pictures

        options = Options(batch_size, max_wait_ms / 1000, queue, max_bytes, timeout)
        views = {"cascade": bool(cascade), "operating_point": operating_point, "max_faces": MOST_FACES}
        load = partial(open_detector, model, fast, device, faces=True, dtype=dtype, **views)
        serve_pictures(load, host=host, port=port, options=options)
