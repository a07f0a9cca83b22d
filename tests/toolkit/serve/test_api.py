"""What programs are answered, and what is refused, by which status and in which words."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import dicom_bytes
from PIL import Image

from mstl_edge.classifier import Classifier, load_classifier
from mstl_edge.prediction import to_record
from mstl_edge.preprocess import Stored
from mstl_edge.serve.limits import Budget, Limits

TOKEN = "0123456789abcdef"


def picture(seed: int = 0, size: int = 40) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def sent(content: bytes = b"", name: str = "a.png") -> dict[str, Any]:
    return {"files": {"image": (name, content or picture())}}


def test_an_answer_has_the_fields_of_a_line_of_predict(
    client: Callable[..., Any], doubting_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    line = to_record("a.png", load_classifier(doubting_model).predict(tmp_path / "a.png"))
    given = client().post("/v1/predict", **sent()).json()
    assert given.pop("milliseconds") > 0
    assert given == json.loads(json.dumps(line))
    assert {"label", "probabilities", "set", "familiarity"} <= given.keys()


def test_an_explained_answer_has_its_map_and_what_the_network_saw(client: Callable[..., Any]) -> None:
    given = client().post("/v1/predict?explain=true", **sent()).json()
    assert given["map_method"] == "class map"
    assert np.shape(given["map"]) == (16, 16)
    assert given["picture"].startswith("data:image/png;base64,")


def test_two_models_are_asked_by_number(client: Callable[..., Any]) -> None:
    asked = client()
    first, second = (asked.post(f"/v1/predict?model={number}", **sent()).json() for number in (0, 1))
    assert "set" in first
    assert "set" not in second
    card = asked.get("/v1/card").json()
    assert [model["card"]["scheme"] for model in card["models"]] == ["int8", "float32"]
    assert card["models"][0]["exact_maps"] is True
    assert card["models"][1]["exact_maps"] is False


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        (sent(b"no picture"), 422, "expected an image file"),
        (sent(b"\x89PNG\r\n\x1a\n"), 422, "damaged or cut off"),
        ({"files": {"image": ("a.png", b"")}}, 400, "0 bytes"),
        ({"files": {"picture": ("a.png", picture())}}, 400, "one image in the field 'image'. Received: 0"),
        ({"files": [("image", ("a.png", picture())), ("image", ("b.png", picture()))]}, 400, "Received: 2"),
        ({"content": picture(), "headers": {"content-type": "image/png"}}, 415, "multipart/form-data"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 415, "multipart/form-data"),
        ({"content": b"junk", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "whole"),
        (
            {"content": b"--b\r\nnonsense", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            400,
            "expected",
        ),
        ({}, 415, "multipart/form-data"),
    ],
)
def test_a_wrong_upload_is_refused_in_words(client: Callable[..., Any], request_: Any, status: int, said: str) -> None:
    response = client().post("/v1/predict", **request_)
    assert response.status_code == status
    assert said in response.json()["error"]


@pytest.mark.parametrize(
    "query",
    [
        "model=2",
        "model=-1",
        "model=x",
        "model=99999999999999999999",
        "model=0000000002",
        "explain=perhaps",
        "frame=0",
        "frame=x",
    ],
)
def test_a_wrong_option_is_refused(client: Callable[..., Any], query: str) -> None:
    response = client().post(f"/v1/predict?{query}", **sent())
    assert response.status_code == 422
    assert response.json()["error"].startswith("expected ")


def test_too_large_an_upload_is_refused_by_its_header_and_by_what_comes(client: Callable[..., Any]) -> None:
    asked = client(limits=Limits(upload_bytes=5000, per_second=0))
    assert asked.post("/v1/predict", **sent(picture(size=60))).status_code == 413

    def parts():
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        for _ in range(100):
            yield bytes(1000)

    slow = asked.post("/v1/predict", content=parts(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert slow.status_code == 413
    assert "at most 0.005 MB" in slow.json()["error"]


def test_nothing_is_written_anywhere(
    client: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = []
    monkeypatch.setattr(tempfile, "_TemporaryFileWrapper", lambda *given, **_: made.append(given))
    large = Image.fromarray(np.random.default_rng(1).integers(0, 256, (1200, 1200, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    large.save(buffer, "PNG")
    assert len(buffer.getvalue()) > 3_000_000
    assert client().post("/v1/predict", **sent(buffer.getvalue())).status_code == 200
    assert (list(tmp_path.iterdir()), made) == ([], [])


def test_a_name_is_never_a_path_and_never_a_control_character(client: Callable[..., Any]) -> None:
    for name, shown in (
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\a.png", "a.png"),
        ("a\tb.png", "a\\tb.png"),
        ("", "image"),
    ):
        body = (
            b'--b\r\nContent-Disposition: form-data; name="image"; filename="'
            + name.encode()
            + b'"\r\n\r\n'
            + picture()
            + b"\r\n--b--\r\n"
        )
        response = client().post(
            "/v1/predict", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
        )
        assert response.json()["image"] == shown


def test_a_token_is_demanded_of_the_interface_and_not_of_the_empty_page(client: Callable[..., Any]) -> None:
    asked = client(token=TOKEN, host="0.0.0.0")
    assert asked.get("/").status_code == 200
    for given in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": TOKEN[:-1]},
        {"cookie": "mstl_edge_token=x"},
    ):
        response = asked.get("/v1/card", headers=given)
        assert response.status_code == 401
        assert "token" in response.json()["error"]
        assert response.headers["www-authenticate"] == "Bearer"
        assert asked.post("/v1/predict", headers=given, **sent()).status_code == 401
    good = asked.get("/v1/card", headers={"authorization": f"Bearer {TOKEN}", "host": "pi.local:8337"})
    assert good.status_code == 200
    cookie = good.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert asked.get("/v1/card", headers={"cookie": f"mstl_edge_token={TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example:8337"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "["}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "localhost:8337", "origin": "http://localhost:8337", "sec-fetch-site": "same-origin"}, 200),
        ({"host": "[::1]:8337"}, 200),
    ],
)
def test_another_site_cannot_use_a_visitors_browser(
    client: Callable[..., Any], headers: dict[str, str], status: int
) -> None:
    assert client().post("/v1/predict", headers=headers, **sent()).status_code == status


def test_every_answer_keeps_a_browser_strict(client: Callable[..., Any]) -> None:
    asked = client()
    for response in (
        asked.get("/"),
        *(asked.get(f"/{script}.js") for script in ("app", "csv", "map")),
        asked.get("/v1/card"),
        asked.get("/nothing"),
        asked.get("/", headers={"host": "x"}),
    ):
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in response.headers
    assert all(asked.get(f"/{script}.js").status_code == 200 for script in ("app", "csv", "map"))
    assert asked.get("/nothing").status_code == 404
    assert asked.get("/v1/predict").status_code == 405
    assert asked.get("/../../etc/passwd").status_code == 404
    assert asked.get("/v1/reports/0").status_code == 404


def test_a_client_that_asks_too_often_is_told_when_to_come_back(client: Callable[..., Any]) -> None:
    asked = client(limits=Limits(per_second=0.5, burst=2))
    given = [asked.post("/v1/predict", **sent()) for _ in range(3)]
    assert [response.status_code for response in given] == [200, 200, 429]
    assert 1 <= int(given[2].headers["retry-after"]) <= 2


def test_where_too_many_wait_a_further_one_is_told_to_come_back(
    client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go = client(waiting=2), threading.Event()
    whole = Classifier.predict

    def held(self: Classifier, image: bytes) -> Any:
        go.wait(20)
        return whole(self, image)

    monkeypatch.setattr(Classifier, "predict", held)
    found: list[int] = []
    with asked:
        threads = [
            threading.Thread(target=lambda: found.append(asked.post("/v1/predict", **sent()).status_code))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        while len(found) < 3:
            assert any(thread.is_alive() for thread in threads)
        assert found == [503, 503, 503]
        go.set()
        for thread in threads:
            thread.join()
    assert sorted(found) == [200, 200, 503, 503, 503]


def test_an_image_whose_client_has_gone_costs_no_inference(exported: Callable[[str], Path]) -> None:
    from mstl_edge.serve.answering import Asked, GoneError, Model

    model = Model("m", load_classifier(exported("tiny_int8")), 4)

    async def ask() -> None:
        with pytest.raises(GoneError):
            await model.answer(Asked(Stored(picture()), "a.png", explain=False, gone=True))
        assert (await model.answer(Asked(Stored(picture()), "a.png", explain=False)))["image"] == "a.png"

    asyncio.run(ask())
    model.close()


def test_reports_are_linked_and_sent_with_a_policy_of_their_own(client: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<!DOCTYPE html><p>found</p>")
    asked = client(reports={"report of run": tmp_path / "report.html"})
    (link,) = asked.get("/v1/card").json()["reports"]
    response = asked.get(link["address"])
    assert (response.text, link["title"]) == ("<!DOCTYPE html><p>found</p>", "report of run")
    assert "style-src 'unsafe-inline'" in response.headers["content-security-policy"]
    assert "script" not in response.headers["content-security-policy"]


def test_the_document_for_programs_tells_every_status_that_is_given(client: Callable[..., Any]) -> None:
    document = client(token=TOKEN).get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    told = document["paths"]["/v1/predict"]["post"]["responses"].keys()
    assert told == {"200", "400", "401", "403", "408", "413", "415", "421", "422", "429", "503"}
    given = client().post("/v1/predict?explain=true", **sent()).json()
    schema = document["paths"]["/v1/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert given.keys() <= schema["properties"].keys()
    assert set(schema["required"]) <= given.keys()


def test_a_frame_of_several_is_named_by_its_number(client: Callable[..., Any]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 40), dtype=np.uint8)
    cine, asked = dicom_bytes(frames, NumberOfFrames=3), client()
    refused = asked.post("/v1/predict", **sent(cine, "cine.dcm"))
    assert refused.status_code == 422
    assert "3 frames). Which one? From 1 to 3" in refused.json()["error"]
    whole = asked.post("/v1/predict", **sent(dicom_bytes(frames[1]))).json()["probabilities"]
    assert asked.post("/v1/predict?frame=2", **sent(cine)).json()["probabilities"] == whole
    assert asked.post("/v1/predict?frame=4", **sent(cine)).status_code == 422


def test_all_uploads_together_hold_a_bounded_memory() -> None:
    budget = Budget(100)
    with budget.held() as one, budget.held() as other:
        assert one.take(60)
        assert not other.take(50)
        assert other.take(40)
    assert budget.taken == 0


def test_more_uploads_than_there_is_memory_for_are_told_to_come_back(client: Callable[..., Any]) -> None:
    response = client(limits=Limits(memory_bytes=1000, per_second=0)).post("/v1/predict", **sent())
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
