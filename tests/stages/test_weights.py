"""Public weights from a server of this machine: what arrives is checked, what is wrong is named and not kept."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import ClassVar

import pytest

from pipeline.errors import UserError
from stages import commands
from stages.known_weights import KNOWN, Known
from stages.weights import cache_folder, fetch, find_known

CONTENT = b"\x80\x02cposix\nsystem\n" + bytes(range(256)) * 9000  # begins like a pickle that runs a command
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """/good.pth whole, /short.pth with fewer bytes than it announces, /odd.pth with a length in words, /moved.pth elsewhere; nothing else."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == "/moved.pth":
            self.send_response(302)
            self.send_header("Location", "/good.pth")
            self.end_headers()
        elif self.path in ("/good.pth", "/short.pth", "/odd.pth"):
            self.send_response(200)
            self.send_header("Content-Length", "unknown" if self.path == "/odd.pth" else str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:-70_000] if self.path == "/short.pth" else CONTENT)
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Server.asked.clear()


def known(url, sha256=SHA256[:8]):
    return Known("net", url, "MIT", "something", "a network of ours", sha256)


def test_a_good_file_is_fetched_once(server, tmp_path):
    entry = known(f"{server}/good.pth")
    path, digest = fetch(entry, tmp_path / "new" / "cache")
    assert (path, digest) == (tmp_path / "new" / "cache" / "good.pth", SHA256)
    assert path.read_bytes() == CONTENT
    assert fetch(entry, path.parent) == (path, SHA256)
    assert Server.asked == ["/good.pth"]
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_file_in_the_cache_is_fetched_again(server, tmp_path):
    (tmp_path / "good.pth").write_bytes(CONTENT[:1000])
    path, _ = fetch(known(f"{server}/good.pth"), tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_mirror_keeps_the_name_and_the_check(server, tmp_path):
    entry = known("https://example.invalid/models/net-v1.pth")
    path, _ = fetch(entry, tmp_path, f"{server}/moved.pth")
    assert path == tmp_path / "net-v1.pth"
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("address", "sha256", "message"),
    [
        ("{}/good.pth", "0" * 8, rf"good\.pth: the SHA-256 of what came is {SHA256}, its publisher gives 00000000"),
        ("{}/short.pth", SHA256, r"short\.pth: the connection broke before the whole file had come"),
        ("{}/short.pth", "", r"short\.pth: the connection broke"),
        ("{}/absent.pth", "", r"absent\.pth: the server answers 404 Not Found; .* --url"),
        ("http://127.0.0.1:9/net.pth", "", r"no answer from 127\.0\.0\.1:9 .*Without it the project uses a network of"),
        ("file:///etc/passwd", "", r"--url file:///etc/passwd: give an address that begins with https://"),
        ("http://[", "", r"give an address that begins with https://"),
        ("http:///net.pth", "", r"give an address that begins with https://"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(server, tmp_path, address, sha256, message):
    with pytest.raises(UserError, match=message):
        fetch(known(address.format(server), sha256), tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_a_damaged_file_that_cannot_be_fetched_again_is_named(tmp_path):
    """Who fetched it elsewhere and put it here, as the message says, must learn that it is not whole."""
    (tmp_path / "net.pth").write_bytes(b"cut off")
    digest = hashlib.sha256(b"cut off").hexdigest()
    said = (
        rf"net\.pth is there, but damaged .*its SHA-256 is {digest}, its publisher gives {SHA256[:8]}.*no answer from"
    )
    with pytest.raises(UserError, match=said):
        fetch(known("http://127.0.0.1:9/net.pth"), tmp_path)
    assert (tmp_path / "net.pth").read_bytes() == b"cut off"


def test_a_server_that_tells_no_sensible_length_is_read_all_the_same(server, tmp_path):
    path, _ = fetch(known(f"{server}/odd.pth"), tmp_path)
    assert path.read_bytes() == CONTENT


def test_the_command_fetches_into_the_cache_folder(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("POSEWRIGHT_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    assert commands.main(["weights", "fetch", "smp-resnet34", "--url", f"{server}/good.pth"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'cache' / 'smp-resnet34.safetensors'}\n"
    assert f"SHA-256 {SHA256}: none is published" in captured.err
    assert commands.main(["weights", "list"]) == 0
    assert f"here: {tmp_path / 'cache' / 'smp-resnet34.safetensors'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch", "../../etc/passwd"], "there are no known weights '../../etc/passwd'"),
        (["fetch", "vgg-19"], "did you mean vgg19"),
        (["fetch"], "`fetch` and a name of the list"),
        (["list", "vgg19"], "give `list` alone"),
        (["fetch", "vgg19", "--to", "file/cache"], "file/cache: Not a directory. Move the file away"),
        (["fetch", "vgg19", "--url", "{}/good.pth"], f"{SHA256}, its publisher gives dcbb9e9d"),
    ],
)
def test_a_mistake_is_one_message(server, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSEWRIGHT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "file").write_text("")
    assert commands.main(["weights", *(argument.format(server) for argument in arguments)]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.splitlines()[-1].startswith("posewright weights: ")
    assert not list(tmp_path.glob("cache/*"))


def test_the_table_is_sound():
    assert len({entry.name for entry in KNOWN}) == len({entry.file_name for entry in KNOWN}) == len(KNOWN)
    for entry in KNOWN:
        assert entry.url.startswith("https://")
        assert entry.licence
        assert entry.stand_in
        assert PurePosixPath(entry.file_name).name == entry.file_name
        # The published digits are those in the file's own name.
        assert re.fullmatch(r"[0-9a-f]{8}|", entry.sha256)
        assert entry.sha256 in entry.url
    assert find_known("openpifpaf-shufflenetv2k16").sha256 == "7189450a"
    assert {"vgg19", "alexnet", "inception-fid", "efficientnet-lite0"} <= {entry.name for entry in KNOWN}
