"""What a client asks and is answered, by a server that really listens, with a real if tiny model."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import COFFEE, PORTRAIT, figure, listening, serving, until
from tiny import tiny_folder

from fakeface import Detector
from fakeface.app.api import make_app

BROKEN = PORTRAIT[: len(PORTRAIT) // 2]
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def served(model: Path) -> Iterator[httpx.Client]:
    with serving(model, max_wait=0.3) as asking:
        yield asking


def files(*contents: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"{number}.jpg", content)) for number, content in enumerate(contents)]


@pytest.fixture(scope="module")
def expected(model: Path) -> dict[str, Any]:
    """What the Detector says of the portrait, its figures to the rounding between batches of one and of several."""
    told = {**Detector.from_pretrained(model)(PORTRAIT).to_dict(), "picture": "picture"}
    told["score"] = pytest.approx(told["score"], abs=1e-5)
    for face in told["faces"]:
        face["score"] = pytest.approx(face["score"], abs=1e-5)
    return told


@pytest.mark.parametrize("kind", ["image/jpeg", "IMAGE/PNG; x=y", "application/octet-stream"])
def test_one_picture_as_the_body_gets_what_the_detector_says(kind: str, served: httpx.Client, expected: dict[str, Any]):
    answer = served.post("/v1/judge", content=PORTRAIT, headers={"Content-Type": kind})
    assert answer.status_code == 200
    told = answer.json()
    about = told.pop("model")
    assert about["name"] == "tiny"
    assert len(about["version"]) == 16
    assert told == expected
    assert len(told["faces"]) == 1


def test_one_file_of_a_form_is_an_object_under_its_own_name(served: httpx.Client, expected: dict[str, Any]):
    told = served.post("/v1/judge", files=files(PORTRAIT)).json()
    told.pop("model")
    assert told == {**expected, "picture": "0.jpg"}


def test_several_files_are_a_list_in_their_order_and_a_broken_one_stops_no_other(
    served: httpx.Client, expected: dict[str, Any]
):
    answer = served.post("/v1/judge", files=files(PORTRAIT, BROKEN, COFFEE, b"text", PORTRAIT))
    assert answer.status_code == 200
    told = answer.json()
    assert [one["picture"] for one in told] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert [one["verdict"] for one in told[1:4]] == [None, "no face", None]
    assert [one.get("code") for one in told] == [None, "truncated", None, "not-a-picture", None]
    assert told[1]["error"].startswith("1.jpg: ")
    assert told[1]["cure"]
    for one in (told[0], told[4]):
        one.pop("model")
        assert one == {**expected, "picture": one["picture"]}


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (BROKEN, BYTES, 422, "truncated"),
        (b"I am no picture.", BYTES, 415, "not-a-picture"),
        (b"%PDF-1.7 " * 20, BYTES, 415, "unsupported-format"),
        (b"", BYTES, 400, "missing"),
        (PORTRAIT, {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported-body"),
        (PORTRAIT, {"Content-Type": "multipart/form-data"}, 400, "malformed-body"),
        (b"nonsense", {"Content-Type": "multipart/form-data; boundary=x"}, 400, "malformed-body"),
        (b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, 400, "missing"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_code_and_cure(
    content: bytes, headers: dict[str, str], status: int, code: str, served: httpx.Client
):
    before = figure(served, f'fakeface_refusals_total{{code="{code}"}}')
    answer = served.post("/v1/judge", content=content, headers=headers)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code)
    assert told["message"].endswith(f"; {told['cure']}")
    assert told["request_id"] == answer.headers["X-Request-ID"]
    assert figure(served, f'fakeface_refusals_total{{code="{code}"}}') == before + 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/v1/judge", 405, "method-not-allowed"), ("POST", "/v2/judge", 404, "not-found")],
)
def test_other_addresses_are_refused_in_the_same_words(
    method: str, path: str, status: int, code: str, served: httpx.Client
):
    answer = served.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "/v1/judge" in answer.json()["cure"]


def test_a_body_over_the_limit_is_refused_whether_it_says_so_or_not(model: Path):
    with serving(model, max_bytes=len(PORTRAIT)) as asking:
        assert asking.post("/v1/judge", content=PORTRAIT, headers=BYTES).status_code == 200
        for content in (PORTRAIT + b"x", iter([PORTRAIT, b"x"])):  # with its length, and in chunks
            answer = asking.post("/v1/judge", content=content, headers=BYTES)
            assert (answer.status_code, answer.json()["code"]) == (413, "too-many-bytes")
        assert asking.post("/v1/judge", files=files(PORTRAIT)).status_code == 413  # the form around it counts
        assert figure(asking, "fakeface_queue_pictures") == 0


@pytest.mark.parametrize(
    ("given", "taken"),
    [("a1-b2.c3:d4", True), (None, False), ("", False), ("two words", False), ("x" * 129, False), ("ü", False)],
)
def test_the_id_of_a_request_comes_back_and_one_that_is_none_is_replaced(
    given: str | None, taken: bool, served: httpx.Client
):
    headers = {} if given is None else {"X-Request-ID": given.encode()}
    ids = [served.get("/healthz", headers=headers).headers["X-Request-ID"] for _ in range(2)]  # pyright: ignore
    assert (ids == [given, given]) is taken
    if not taken:
        assert len(set(ids)) == 2
        assert all(len(one) == 32 for one in ids)


def test_pictures_of_several_clients_share_a_batch(model: Path, expected: dict[str, Any]):
    with serving(model, max_wait=5, batch_size=4) as asking, ThreadPoolExecutor(4) as clients:
        ask = lambda _: asking.post("/v1/judge", content=PORTRAIT, headers=BYTES)  # noqa: E731
        answers = list(clients.map(ask, range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4
        assert figure(asking, "fakeface_batch_pictures_count") == 1
        assert figure(asking, "fakeface_batch_pictures_sum") == 4
        told = [answer.json() for answer in answers]
        assert all(one.pop("model") and one == expected for one in told)


class Gated(Detector):
    """Judges nothing while its gate is closed."""

    gate: threading.Event

    def judge(self, *args: Any, **options: Any) -> Any:
        assert self.gate.wait(60)
        return super().judge(*args, **options)


def gated(model: Path, gate: threading.Event) -> Callable[[], Detector]:
    def load() -> Detector:
        gate.set()  # for the warm-up
        detector = Gated.from_pretrained(model)
        detector.gate = gate  # pyright: ignore[reportAttributeAccessIssue]
        return detector

    return load


def test_a_full_queue_sends_away_with_429_and_takes_again_once_it_is_not(model: Path):
    gate = threading.Event()
    with serving(model, gated(model, gate), queue=2, batch_size=1) as asking, ThreadPoolExecutor(2) as clients:
        gate.clear()
        waiting = [clients.submit(asking.post, "/v1/judge", content=PORTRAIT, headers=BYTES) for _ in range(2)]
        until(lambda: figure(asking, "fakeface_queue_pictures") == 2)
        more: dict[str, Any]
        for more in ({"content": PORTRAIT, "headers": BYTES}, {"files": files(PORTRAIT, PORTRAIT)}):
            answer = asking.post("/v1/judge", **more)
            assert (answer.status_code, answer.json()["code"]) == (429, "queue-full")
            assert int(answer.headers["Retry-After"]) >= 1
        gate.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
        assert asking.post("/v1/judge", content=PORTRAIT, headers=BYTES).status_code == 200
        assert figure(asking, 'fakeface_requests_total{path="/v1/judge",status="429"}') == 2
        # A request that no queue of this length could take is told so, not to come again.
        answer = asking.post("/v1/judge", files=files(COFFEE, COFFEE, COFFEE))
        assert (answer.status_code, answer.json()["code"]) == (413, "too-many-pictures")
        assert figure(asking, "fakeface_queue_pictures") == 0


def test_what_is_not_judged_in_time_is_answered_and_gives_its_place_back(model: Path):
    gate = threading.Event()
    with serving(model, gated(model, gate), timeout=0.3, batch_size=1) as asking:
        gate.clear()
        answer = asking.post("/v1/judge", content=PORTRAIT, headers=BYTES)
        assert (answer.status_code, answer.json()["code"]) == (503, "judge-timeout")
        assert "Retry-After" in answer.headers
        asking.post("/v1/judge", content=PORTRAIT, headers=BYTES)  # one that is not even begun
        assert figure(asking, "fakeface_queue_pictures") == 2
        gate.set()
        until(lambda: figure(asking, "fakeface_queue_pictures") == 0)
        assert figure(asking, "fakeface_batch_pictures_count") == 1


def test_a_body_that_does_not_arrive_gives_its_place_back(model: Path):
    came = threading.Event()

    def slow() -> Iterator[bytes]:
        yield PORTRAIT[:100]
        came.wait(60)
        yield PORTRAIT[100:]

    with serving(model, timeout=0.3) as asking, ThreadPoolExecutor(1) as clients:
        answer = clients.submit(asking.post, "/v1/judge", content=slow(), headers=BYTES)
        until(lambda: figure(asking, 'fakeface_requests_total{path="/v1/judge",status="408"}') == 1)
        came.set()
        assert answer.result().json()["code"] == "body-timeout"
        assert figure(asking, "fakeface_queue_pictures") == 0


def test_a_service_is_ready_once_its_model_is_and_alive_before(model: Path):
    gate = threading.Event()

    def load() -> Detector:
        assert gate.wait(60)
        return Detector.from_pretrained(model)

    app = make_app(load)
    with listening(app) as asking:
        assert asking.get("/healthz").status_code == 200
        assert asking.get("/readyz").status_code == 503
        answer = asking.post("/v1/judge", content=PORTRAIT, headers=BYTES)
        assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
        gate.set()
        until(lambda: asking.get("/readyz").status_code == 200)
        assert asking.get("/readyz").json()["model"]["name"] == "tiny"
        assert asking.post("/v1/judge", content=PORTRAIT, headers=BYTES).status_code == 200
        app.state.batcher.draining = True
        assert asking.get("/readyz").status_code == 503
        answer = asking.post("/v1/judge", content=PORTRAIT, headers=BYTES)
        assert (answer.status_code, answer.json()["code"]) == (503, "draining")


def test_two_operating_points_of_one_model_give_two_verdicts(model: Path, tmp_path: Path):
    score = Detector.from_pretrained(model)(PORTRAIT).score
    assert score is not None
    points = {"strict": {"fpr": 0.001, "threshold_generated": (1 + score) / 2}}
    own: dict[str, Any] = {"threshold_real": score / 4, "threshold_generated": score / 2, "target_fpr": 0.01}
    pointed = tiny_folder(tmp_path / "pointed", operating_points=points, smallest_face=1, **own)
    for point, verdict in (("default", "generated"), ("strict", "uncertain")):
        with serving(pointed, lambda point=point: Detector.from_pretrained(pointed, operating_point=point)) as asking:
            told = asking.post("/v1/judge", content=PORTRAIT, headers=BYTES).json()
            assert told["verdict"] == verdict
            assert figure(asking, f'fakeface_verdicts_total{{verdict="{verdict}"}}') == 1


def test_a_fault_is_told_without_its_traceback_and_the_next_batch_is_judged(
    model: Path, caplog: pytest.LogCaptureFixture
):
    class Faulty(Detector):
        faults = 1

        def judge(self, *args: Any, **options: Any) -> Any:
            if Faulty.faults and isinstance(args[0], list) and args[0][0][0].name == "secret.jpg":
                Faulty.faults -= 1
                raise RuntimeError(f"cannot do {args[0][0][0].name}")
            return super().judge(*args, **options)

    with serving(model, lambda: Faulty.from_pretrained(model)) as asking:
        answer = asking.post("/v1/judge", files=[("file", ("secret.jpg", PORTRAIT))])
        told = answer.json()
        assert (answer.status_code, told["code"]) == (500, "fault")
        assert told["request_id"] == answer.headers["X-Request-ID"]
        assert "Traceback" not in answer.text
        assert asking.post("/v1/judge", files=[("file", ("secret.jpg", PORTRAIT))]).status_code == 200
    assert f"request={told['request_id']} RuntimeError at" in caplog.text
    assert "secret.jpg" not in caplog.text


def test_figures_tell_requests_verdicts_and_seconds(model: Path):
    with serving(model) as asking:
        for content in (PORTRAIT, COFFEE, b"text"):
            asking.post("/v1/judge", content=content, headers=BYTES)
        asking.get("/no/such/page")
        shown = asking.get("/metrics")
        assert shown.headers["Content-Type"].startswith("text/plain; version=")
        assert figure(asking, 'fakeface_requests_total{path="/v1/judge",status="200"}') == 2
        assert figure(asking, 'fakeface_requests_total{path="/v1/judge",status="415"}') == 1
        assert figure(asking, 'fakeface_requests_total{path="other",status="404"}') == 1
        assert figure(asking, 'fakeface_verdicts_total{verdict="no face"}') == 1
        assert figure(asking, 'fakeface_request_seconds_count{status="200"}') == 2
        assert figure(asking, 'fakeface_request_seconds_bucket{le="60.0",status="200"}') == 2
        assert figure(asking, "fakeface_batch_pictures_sum") == 2  # a refused picture is in no batch
