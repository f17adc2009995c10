"""What may be judged, within which limits, and what becomes of the rest."""

import base64
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tiny import picture, tiny_model

from fakeface import Detector, Explanation, FakeFaceImageProcessor, Result
from fakeface.app.service import Service
from fakeface.app.settings import Settings
from fakeface.model_folder.saving import save_model_folder
from fakeface.release.onnx import export_onnx


def service(folder: Path, **settings: Any) -> Service:
    return Service(Detector(tiny_model(), FakeFaceImageProcessor(size=32)), Settings(**settings), [folder])


def sent(folder: Path, name: str = "a.png") -> dict[str, Any]:
    picture().save(folder / name)
    return {"path": str(folder / name), "orig_name": name}


def test_an_uploaded_picture_is_judged_under_the_name_its_sender_gave_it(tmp_path: Path):
    result = service(tmp_path).judge({**sent(tmp_path), "orig_name": "holiday.png"})
    assert (result.picture, result.error) == ("holiday.png", None)
    assert result.verdict in ("real", "generated", "uncertain")


@pytest.mark.parametrize("path", ["/etc/passwd", "uploads/../secret.png", "uploads/link.png", "uploads", "", None, 7])
def test_a_file_that_was_not_uploaded_is_as_if_none_was_named(path: Any, tmp_path: Path):
    (tmp_path / "uploads").mkdir()
    sent(tmp_path, "secret.png")
    (tmp_path / "uploads" / "link.png").symlink_to(tmp_path / "secret.png")
    asked = str(tmp_path / path) if isinstance(path, str) and path else path
    result = service(tmp_path / "uploads").judge({"path": asked})
    assert result.verdict is None
    assert "secret" not in str(result.error)
    assert str(result.error).endswith(("no picture arrived; choose one and send it again", "give a picture file"))


def test_an_address_is_fetched_only_where_the_settings_allow_it(tmp_path: Path):
    address = {"path": "https://127.0.0.1/portrait.jpg"}
    assert "send the file" in str(service(tmp_path, addresses=False).judge(address).error)
    inner = service(tmp_path).judge(address)
    assert str(inner.error).startswith("https://127.0.0.1/portrait.jpg: '127.0.0.1' is not on the public internet")


def test_a_picture_over_the_limits_is_refused(tmp_path: Path):
    big = sent(tmp_path)
    assert "save it smaller" in str(service(tmp_path, max_megabytes=0.001).judge(big).error)
    assert "scale it down" in str(service(tmp_path, max_megapixels=0.001).judge(big).error)


def test_of_many_pictures_each_gets_a_result_in_order_and_a_thumbnail_if_it_was_read(tmp_path: Path):
    (tmp_path / "text.png").write_text("not a picture")
    uploads = [sent(tmp_path), {"path": str(tmp_path / "text.png"), "orig_name": "text.png"}, sent(tmp_path, "b.png")]
    judged = list(service(tmp_path).judge_many(uploads))
    assert [result.picture for result, _ in judged] == ["a.png", "text.png", "b.png"]
    assert [thumbnail.size if thumbnail else None for _, thumbnail in judged] == [(96, 80), None, (96, 80)]
    alone = service(tmp_path).judge(uploads[0]).score
    assert [judged[0][0].score, judged[2][0].score] == pytest.approx([alone, alone], abs=1e-6)


def test_what_is_beyond_the_number_or_the_time_of_a_request_is_refused_by_name(tmp_path: Path):
    uploads = [sent(tmp_path), sent(tmp_path, "b.png")]
    first, second = (result for result, _ in service(tmp_path, max_pictures=1).judge_many(uploads))
    assert first.error is None
    assert second.error == "b.png: more than 1 pictures at once; send it with the next ones"
    late = [str(result.error) for result, _ in service(tmp_path, max_seconds=1e-9).judge_many(uploads)]
    assert [error.split(":")[0] for error in late] == ["a.png", "b.png"]
    assert all("seconds of a request are over; send it again" in error for error in late)


def test_an_explanation_comes_with_the_verdict_of_judge(tmp_path: Path):
    upload = sent(tmp_path)
    found = service(tmp_path).explain(upload)
    assert isinstance(found, Explanation)
    assert found.result.picture == "a.png"
    assert found.result.score == pytest.approx(service(tmp_path).judge(upload).score)


def test_a_costly_method_is_not_offered(tmp_path: Path):
    with pytest.raises(ValueError, match="unknown method 'ablation-cam': choose one of centred-cam"):
        service(tmp_path).explain(sent(tmp_path), method="ablation-cam")


def test_a_refused_picture_has_no_explanation(tmp_path: Path):
    found = service(tmp_path).explain({"path": "nowhere"})
    assert isinstance(found, Result)
    assert found.error == "picture: no picture arrived; choose one and send it again"


def test_an_onnx_model_judges_without_a_map(tmp_path: Path):
    pytest.importorskip("onnxruntime")
    save_model_folder(tmp_path / "model", tiny_model(), FakeFaceImageProcessor(size=32))
    export_onnx(str(tmp_path / "model"), tmp_path / "out", [picture()], kinds=["fp32"])
    judging = Service(Detector.from_pretrained(tmp_path / "out", faces=False), Settings(), [tmp_path])
    upload = sent(tmp_path)
    found = judging.explain(upload)
    assert isinstance(found, Result)
    assert (found.picture, found.error) == ("a.png", None)
    assert found == judging.judge(upload)


@pytest.mark.parametrize("judge", ["judge", "judge_many", "explain"])
def test_without_a_face_model_there_is_no_verdict_on_the_middle_of_a_picture(judge: str, tmp_path: Path):
    model = tiny_model()
    model.config.threshold_generated = model.config.threshold_real = 0.5  # all but certain, one way or the other
    judging = Service(Detector(model, FakeFaceImageProcessor(size=32)), Settings(), [tmp_path])
    upload = sent(tmp_path)
    assert judging.detector(upload["path"]).verdict in ("real", "generated")
    found: Any = getattr(judging, judge)([upload] if judge == "judge_many" else upload)
    result = next(found)[0] if judge == "judge_many" else found.result if judge == "explain" else found
    assert (result.verdict, result.error) == ("uncertain", None)
    assert result.reasons[0].startswith("this server has no face model")


def test_a_picture_may_stand_in_its_address(tmp_path: Path):
    data = (tmp_path / sent(tmp_path)["orig_name"]).read_bytes()
    address = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    judging = service(tmp_path)
    assert judging.read({"path": address}) == ("picture", data)
    assert "save it smaller" in str(service(tmp_path, max_megabytes=0.001).judge({"path": address}).error)
    broken = [{"path": "data:image/png;base64,%%%"}, {"path": "data:,text"}]
    for number, (result, _) in enumerate(judging.judge_many(broken), start=1):
        assert str(result.error).startswith(f"picture {number}: not base64")


def test_an_address_of_this_server_is_the_file_that_was_uploaded_there(tmp_path: Path):
    (tmp_path / "uploads").mkdir()
    path = Path(sent(tmp_path / "uploads", "a b.png")["path"])
    secret = sent(tmp_path, "secret.png")["path"]
    judging = service(tmp_path / "uploads", addresses=False)
    place = "http://127.0.0.1:7860/gradio_api/file="
    assert judging.read({"path": f"{place}{quote(str(path))}"}) == ("a b.png", path.read_bytes())
    assert "fetches no addresses" in str(judging.judge({"path": f"{place}{secret}"}).error)


def test_a_path_without_end_is_refused_at_once(tmp_path: Path):
    begun = time.monotonic()
    assert "no picture arrived" in str(service(tmp_path).judge({"path": "a/" * 10**6}).error)
    assert time.monotonic() - begun < 5
