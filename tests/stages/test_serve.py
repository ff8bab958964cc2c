"""The local page of `posewright serve`: forms in, pictures out, and nothing that it should not do."""

import asyncio
import base64
import http.client
import json
import math
import os
import queue
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from models.method import build, load, save
from pipeline.errors import UserError
from pipeline.imports import ROOT
from pipeline.packed import Picture, write_pack
from pipeline.people import labels
from pipeline.people.skeleton import RIGHT_SHOULDER, is_present
from pipeline.pictures import decode
from pipeline.render import plan, render
from stages import artifacts, commands
from stages.commands import serve
from stages.commands._pictures import draw
from stages.looks import read_recipe
from stages.photograph import read_photographs
from stages.serve.server import make_app, run_server
from stages.serve.studio import Studio, Upload, Wish
from tests.stages.chromium import PROGRAM, Chromium
from tests.stages.test_photograph_commands import SMALL

MAX_MB = 2
NETWORKS = ("data/pretrain/adgan/weights.safetensors", "data/finetune/adgan/target.safetensors")


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A project with two networks that learned nothing, a packed domain of one pose, and pictures of two people."""
    folder = tmp_path_factory.mktemp("album")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
        (folder / "models").symlink_to(ROOT / "models")
        turned = [render(spec) for spec in plan("natural", people=12, poses=1, seed=5)]
        anna, bert = [figure for figure in turned if abs(figure.yaw_deg) < 40][:2]
        for name, figure in (("anna", anna), ("bert", bert)):
            Image.fromarray(figure.image).save(folder / f"{name}.png")
        Image.new("RGB", (300, 400), (90, 120, 90)).save(folder / "meadow.png")
        for seed, path in enumerate(NETWORKS):
            save(folder / path, build("adgan", SMALL, seed=seed))
            os.utime(folder / path, (seed, seed))
        seen = read_photographs([Path("bert.png")], read_recipe())[Path("bert.png")]
        blank = np.zeros((256, 176), np.uint8)
        write_pack(
            artifacts.pack("source"),
            [Picture("bert", "bert", seen.image, seen.joints, None, seen.parsing, blank, seen.edges)],
            count=1,
            pairs={},
            size=(176, 256),
            sigma_px=6.0,
            source="folder",
            with_heatmaps=False,
        )
        yield folder


@pytest.fixture(scope="module")
def address(album):
    """Host and port of a running server."""
    ready = queue.Queue()
    ended = threading.Event()

    async def serve_until_ended():
        server = asyncio.create_task(run_server(make_app(Studio(), max_mb=MAX_MB), "127.0.0.1", 0, ready.put))
        while not ended.is_set():
            await asyncio.sleep(0.05)
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=[serve_until_ended()])
    thread.start()
    yield urlsplit(ready.get(timeout=120)).netloc
    ended.set()
    thread.join()


def _ask(address, method, path, body=None, **headers):
    """(status, headers, bytes) of the answer."""
    connection = http.client.HTTPConnection(address, timeout=300)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def _form(**fields):
    """A form as a browser sends it: a path is a file, a text or a list of texts is itself."""
    parts = []
    for name, value in fields.items():
        if isinstance(value, list):
            parts += [f'form-data; name="{name}"\r\n\r\n{text}'.encode() for text in value]
        else:
            file, data = value if isinstance(value, tuple) else (Path(value).name, Path(value).read_bytes())
            parts.append(
                f'form-data; name="{name}"; filename="{file}"\r\nContent-Type: image/png\r\n\r\n'.encode() + data
            )
    body = b"".join(b"--edge\r\nContent-Disposition: " + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=edge"}


def _draw(address, **fields):
    body, headers = _form(**fields)
    status, _, answer = _ask(address, "POST", "/draw", body, **headers)
    return status, json.loads(answer)


def _picture(url):
    assert url.startswith("data:image/png;base64,")
    return decode(base64.b64decode(url.split(",")[1]))


def test_the_page_comes_with_what_it_needs_and_strict_headers(address):
    for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
        status, headers, body = _ask(address, "GET", path)
        assert (status, headers["Content-Type"].split(";")[0]) == (200, kind)
        assert body
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    about = json.loads(_ask(address, "GET", "/about.json")[2])
    assert about["networks"] == ["finetune/adgan/target.safetensors", "pretrain/adgan/weights.safetensors"]
    parts = json.loads(_ask(address, "GET", "/networks/0.json")[2])["parts"]
    assert parts == [name for name in labels.LABELS if name != "background"]
    assert about["poses"] == [["source", 0]]


def test_a_person_is_drawn_in_the_pose_of_another(address, album):
    status, told = _draw(address, person="anna.png", pose="bert.png")
    assert status == 200, told
    seen = read_photographs([Path("anna.png"), Path("bert.png")], read_recipe())
    assert np.array_equal(_picture(told["picture"]), draw(load(Path(NETWORKS[1])), *seen.values()))
    other = _draw(address, person="anna.png", pose="bert.png", network=["1"])[1]
    assert np.array_equal(_picture(other["picture"]), draw(load(Path(NETWORKS[0])), *seen.values()))
    assert [one["name"] for one in told["found"]] == ["anna.png", "bert.png"]


def test_a_packed_pose_can_be_chosen(address, album):
    status, told = _draw(address, person="anna.png", chosen=["source/0"])
    assert status == 200, told
    _, uploaded = _draw(address, person="anna.png", pose="bert.png")
    assert told["picture"] == uploaded["picture"]
    status, headers, body = _ask(address, "GET", "/poses/source/0.png")
    assert (status, headers["Content-Type"], decode(body).shape) == (200, "image/png", (256, 176, 3))


def test_a_pose_can_be_drawn(address, album):
    places = json.loads(_ask(address, "GET", "/poses/source/0.json")[2])
    joints = read_photographs([Path("bert.png")], read_recipe())[Path("bert.png")].joints
    assert [place is not None for place in places] == list(is_present(joints))
    as_it_was = _draw(address, person="anna.png", sketch=[json.dumps(places)])[1]
    assert as_it_was["picture"] == _draw(address, person="anna.png", chosen=["source/0"])[1]["picture"]
    places[RIGHT_SHOULDER] = None
    changed = _draw(address, person="anna.png", sketch=[json.dumps(places)])[1]
    assert changed["picture"] != as_it_was["picture"]


def test_clothes_are_changed_as_dress_does_it(address, album):
    status, told = _draw(address, person="anna.png", clothes="bert.png", part=["upper_clothes", "hair"])
    assert status == 200, told
    call = ["dress", "--person", "anna.png", "--take", "upper=bert.png", "hair=bert.png", "--out", "out/dressed.png"]
    assert commands.main(call) == 0
    assert np.array_equal(_picture(told["picture"]), decode(Path("out/dressed.png").read_bytes()))
    assert told["picture"] != _draw(address, person="anna.png")[1]["picture"]


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 422, "no picture of a person"),
        ({"person": ("", b"")}, 422, "no picture of a person"),
        ({"person": "meadow.png"}, 422, "meadow.png: "),
        ({"person": ("notes.png", b"milk, bread")}, 422, "notes.png: "),
        ({"person": ("empty.png", b"")}, 422, "empty.png: empty file"),
        ({"person": ("notes.png", b"milk" * 400_000)}, 422, "notes.png: "),
        ({"person": ("big.png", bytes(2_100_000))}, 413, "big.png: the file is larger than 2 MB"),
        ({"person": ("huge.png", bytes(30_000_000))}, 413, "huge.png: the file is larger than 2 MB"),
        ({"person": ("../../etc/passwd", b"root")}, 422, "passwd: "),
        ({"person": "anna.png", "chosen": ["source/9"]}, 422, "no pose 9"),
        ({"person": "anna.png", "chosen": ["../source/0"]}, 422, "no pose 0 in the domain '../source'"),
        ({"person": "anna.png", "chosen": ["source/-1"]}, 422, "no such pose"),
        ({"person": "anna.png", "sketch": ["[1]"]}, 422, "drawn pose"),
        ({"person": "anna.png", "sketch": ["{"]}, 422, "drawn pose"),
        ({"person": "anna.png", "sketch": [json.dumps([None] * 18)]}, 422, "drawn pose"),
        ({"person": "anna.png", "sketch": [json.dumps([[math.nan, 1]] * 18)]}, 422, "drawn pose"),
        ({"person": "anna.png", "sketch": ["[" * 900]}, 422, "drawn pose"),
        ({"person": "anna.png", "network": ["2"]}, 422, "no network 2"),
        ({"person": "anna.png", "network": ["../0"]}, 422, "no such network"),
        ({"person": "anna.png", "clothes": "bert.png"}, 422, "which parts"),
        ({"person": "anna.png", "clothes": "bert.png", "part": ["tail"]}, 422, "'tail' is no part"),
        ({"chosen": ["x" * 5000]}, 413, "too long"),
        ({"part": ["hair"] * 40}, 400, "at most"),
    ],
)
def test_a_mistake_gets_a_friendly_message(address, album, fields, status, said):
    answered, told = _draw(address, **fields)
    assert (answered, list(told)) == (status, ["error"])
    assert said in told["error"]
    assert "/" not in told["error"].replace("multipart/", "").replace("'../source'", "")


@pytest.mark.parametrize(
    "path",
    [
        "/../params.yaml",
        "/%2e%2e/params.yaml",
        "/params.yaml",
        "/poses/..%2f..%2fparams.yaml/0.png",
        "/poses/source/9.png",
        "/poses/source/0.png/../../../params.yaml",
        "/poses/source/99999999999999999999.png",
        "//etc/passwd",
    ],
)
def test_no_other_path_leads_anywhere(address, path):
    status, _, body = _ask(address, "GET", path)
    assert 400 <= status < 500
    assert list(json.loads(body)) == ["error"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "text/plain"),
        (b"{}", "application/json"),
        (b"garbage", "multipart/form-data; boundary=edge"),
        (b"--edge\r\n\r\n", "multipart/form-data"),
        (b"--edge\r\nno header", "multipart/form-data; boundary=edge"),
    ],
)
def test_what_is_no_form_is_refused(address, body, kind):
    status, _, answer = _ask(address, "POST", "/draw", body, **{"Content-Type": kind})
    assert 400 <= status < 500
    assert list(json.loads(answer)) == ["error"]


def test_other_sites_cannot_use_it(address):
    body, kind = _form(person=("a.png", b"x"))
    assert _ask(address, "GET", "/", Host="evil.example")[0] == 403
    assert _ask(address, "POST", "/draw", body, **kind, Origin="http://evil.example")[0] == 403
    assert _ask(address, "POST", "/draw", body, **kind, Origin="null")[0] == 403
    assert _ask(address, "POST", "/draw", body, **kind, Origin=f"http://{address}")[0] == 422


def test_nothing_that_was_sent_stays_on_disk(address, album, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(album.rglob("*"))
    assert _draw(address, person="anna.png", pose="bert.png")[0] == 200
    assert _draw(address, person=("big.png", bytes(2_100_000)))[0] == 413
    assert sorted(album.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_a_system_without_codes_of_parts_says_so(album):
    studio = Studio()
    studio.method(0).edits = frozenset()
    assert studio.parts(0) == []
    anna, bert = (Upload(name, Path(name).read_bytes()) for name in ("anna.png", "bert.png"))
    with pytest.raises(UserError, match="adgan has no codes of single parts"):
        studio.make(Wish(anna, None, bert, [labels.HAIR]))


def test_the_command_says_what_is_wrong(album, capsys):
    assert commands.main(["serve", "--max-mb", "0"]) == 1
    assert "--max-mb 0" in capsys.readouterr().err
    assert commands.main(["serve", "--port", "70000"]) == 1
    assert "--port 70000" in capsys.readouterr().err
    assert serve.__doc__.count("posewright serve") == 2


@pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")
def test_the_page_draws_in_a_browser(address, album, tmp_path):
    with Chromium(tmp_path, width=390, height=844, network=True) as browser:
        browser.open(f"http://{address}/")
        browser.wait_for("document.body.dataset.ready")
        assert browser.ask("document.documentElement.scrollWidth") <= 390
        browser.choose_file("[name=person]", album / "anna.png")
        browser.ask("document.querySelector('#catalog summary').click()")
        browser.ask("document.querySelector('[name=chosen]').click()")
        browser.ask("document.querySelector('[type=submit]').click()")
        browser.wait_for("!document.querySelector('#result').hidden && document.querySelector('#picture').complete")
        shown = browser.ask("document.querySelector('#download').href")
        assert shown == _draw(address, person="anna.png", chosen=["source/0"])[1]["picture"]
        browser.wait_for("[...document.images].every(image => image.complete && image.naturalWidth)")
        assert browser.errors == []
        browser.wait_for("document.querySelector('#sketch circle[aria-label=\"right shoulder\"]') !== null")
        browser.ask("document.querySelector('#sketch circle[aria-label=\"right shoulder\"]').focus()")
        browser.press("ArrowUp", 38)
        moved = json.loads(browser.ask("document.querySelector('[name=sketch]').value"))
        packed = json.loads(_ask(address, "GET", "/poses/source/0.json")[2])
        assert moved[RIGHT_SHOULDER] == pytest.approx([packed[RIGHT_SHOULDER][0], packed[RIGHT_SHOULDER][1] - 2])
        browser.ask("document.querySelector('[type=submit]').click()")
        browser.wait_for(f"document.querySelector('#download').href !== {json.dumps(shown)}")
        changed = _draw(address, person="anna.png", sketch=[json.dumps(moved)])[1]["picture"]
        assert browser.ask("document.querySelector('#download').href") == changed
        large = tmp_path / "large.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8)).save(large)
        browser.choose_file("[name=pose]", large)
        assert "larger than 2 MB" in browser.wait_for("document.querySelector('#error').textContent")
        browser.choose_file("[name=person]", album / "meadow.png")
        browser.ask("document.querySelector('[type=submit]').click()")
        assert browser.wait_for("document.querySelector('#error').textContent").startswith("meadow.png: ")
        addresses = {urlsplit(url).netloc for url in browser.requests if url.startswith("http")}
        assert addresses == {address}
