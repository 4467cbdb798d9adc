"""What SECURITY.md says of the server, tried from outside: who may connect, upload, steer the page or read an error."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import tomllib
import zipfile
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
from handling import no_error, settled

from benchmarks.serving import ROOT, serving
from dashboard.drawings import LARGEST_FILE

UPLOAD = "/_stcore/upload_file"
COOKIE, HEADER = "_streamlit_xsrf", "X-Xsrftoken"
FORM = {"Content-Type": "multipart/form-data; boundary=x"}  # with one file, between these two:
BEFORE, AFTER = b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../a.png"\r\n\r\n', b"\r\n--x--\r\n"
CAP = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["server"]["maxUploadSize"] * 2**20  # bytes


def ask(server: str, path: str, method: str = "GET", body=None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (with small letters) and body of the server's answer; the path is sent as it is."""
    with closing(http.client.HTTPConnection(urlsplit(server).netloc, timeout=60)) as connection:
        connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def connects(server: str, origin: str | None, host: str | None) -> bool:
    """Whether the server opens its WebSocket, with which everything is seen and done, for a page of this origin."""
    at = urlsplit(server)
    lines = ["GET /_stcore/stream HTTP/1.1", f"Host: {host or at.netloc}", "Upgrade: websocket", "Connection: Upgrade",
             "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: c2FndmFlLXNhZ3ZhZS1zYQ==",
             "Sec-WebSocket-Protocol: streamlit", *([f"Origin: {origin}"] if origin else [])]
    with closing(socket.create_connection((at.hostname, at.port), timeout=60)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        status = int(connection.recv(100).split()[1])
    assert status in (101, 403)
    return status == 101


@contextmanager
def session(server: str):
    """The number of a session of our own, as a browser has it; it lasts as long as the block."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.sync.client import connect

    with connect(f"ws://{urlsplit(server).netloc}/_stcore/stream", subprotocols=["streamlit"], max_size=None) as stream:
        message = BackMsg()
        message.rerun_script.query_string = ""
        stream.send(message.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(stream.recv(timeout=60))
            if answer.WhichOneof("type") == "new_session":
                yield answer.new_session.initialize.session_id
                return


def token(server: str) -> str:
    """What the server's own pages send with every upload."""
    return re.search(rf"{COOKIE}=([^;]+)", ask(server, "/_stcore/health")[1]["set-cookie"]).group(1)


def test_only_this_machine_can_connect(server):
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; chooses the address other machines know us by
        except OSError:
            pytest.skip("this machine has no network")
        address = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises((ConnectionError, TimeoutError)):
        socket.create_connection((address, urlsplit(server).port), timeout=10).close()
    assert ask(server, "/_stcore/health")[2] == b"ok"


@pytest.mark.parametrize(("origin", "host", "opens"), [
    (None, None, True),  # no browser: whoever runs programs here needs none
    ("SELF", None, True),
    ("http://example.com", None, False),
    ("https://example.streamlit.app", None, False),
    ("null", None, False),  # a file opened in the browser, a sandboxed frame
    ("http://localhost.example.com", None, False),
    ("http://example.com:PORT", "example.com:PORT", False),  # a name that was made to point here
    (None, "example.com", False),
    ("SELF", "example.com:PORT", False),
    ("http://127.0.0.1:PORT", "127.0.0.1:PORT", True),
    ("http://localhost:1", None, True),  # SECURITY.md names it: another server of this machine is trusted
])
def test_who_may_open_a_session(server, origin, host, opens):
    port = str(urlsplit(server).port)
    origin, host = (text and text.replace("SELF", server).replace("PORT", port) for text in (origin, host))
    assert connects(server, origin, host) == opens


def test_a_server_for_others_says_its_own_names(tmp_path):
    names = "studio.example.com localhost"  # as SECURITY.md has it
    with serving(tmp_path / "server.log", SAGVAE_RUNS=str(tmp_path),
                 STREAMLIT_SERVER_ALLOWED_HOSTS=names) as (address, _):
        assert connects(address, "https://studio.example.com", "studio.example.com")
        assert connects(address, address, None)
        assert not connects(address, "https://other.example.com", "other.example.com")
        assert not connects(address, "https://other.example.com", "studio.example.com")


@pytest.mark.parametrize("path", ["/", "/relations", "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics"])
def test_no_other_site_may_read_an_answer(server, path):
    status, headers, _ = ask(server, path, Origin="http://example.com")
    assert status == 200
    assert "access-control-allow-origin" not in headers


def test_no_page_around_ours_may_steer_it(server):
    assert json.loads(ask(server, "/_stcore/host-config")[2])["allowedOrigins"] == []


def test_the_interface_for_programs_is_off(server):
    for path in ("/_stcore/agent/interact", "/_stcore/agent/mcp"):
        status, _, body = ask(server, path, "POST", b"{}", **{"Content-Type": "application/json"})
        assert status in (400, 403) and b"not_available" in body


def test_an_upload_needs_our_own_page(server):
    body = BEFORE + b"1" + AFTER
    mine, other = token(server), token(server)
    with session(server) as number:
        path = f"{UPLOAD}/{number}/file"
        for headers in ({}, {HEADER: mine}, {"Cookie": f"{COOKIE}={mine}"}, {HEADER: "a", "Cookie": f"{COOKIE}=b"},
                        {HEADER: other, "Cookie": f"{COOKIE}={mine}"}):
            status, answer, _ = ask(server, path, "PUT", body, **headers, **FORM)
            assert status == 403, headers
            assert "access-control-allow-origin" not in answer
            assert ask(server, path, "DELETE", **headers)[0] == 403
        whole = {HEADER: mine, "Cookie": f"{COOKIE}={mine}"}
        assert ask(server, path, "PUT", body, **whole, **FORM)[0] == 204
        assert ask(server, f"{UPLOAD}/nobody/file", "PUT", body, **whole, **FORM)[0] == 400
    _, headers, _ = ask(server, path, "OPTIONS", Origin="http://example.com",
                        **{"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": HEADER})
    assert headers["access-control-allow-origin"] == server, "a browser asks this before another site's upload"


def test_an_upload_has_a_largest_size_said_or_not(server):
    mine = token(server)
    headers = {HEADER: mine, "Cookie": f"{COOKIE}={mine}"} | FORM
    with session(server) as number:
        path = f"{UPLOAD}/{number}/file"
        with closing(http.client.HTTPConnection(urlsplit(server).netloc, timeout=60)) as connection:
            connection.putrequest("PUT", path)  # the size alone: no byte of it is read
            for name, value in (headers | {"Content-Length": str(CAP + 1)}).items():
                connection.putheader(name, value)
            connection.endheaders()
            assert connection.getresponse().status == 413

        def pieces():
            yield BEFORE
            for _ in range(CAP // 2**20 + 2):
                yield b"\0" * 2**20

        try:
            status = ask(server, path, "PUT", pieces(), **headers, **{"Transfer-Encoding": "chunked"})[0]
        except (BrokenPipeError, ConnectionResetError):
            status = 413  # it has hung up before we were done
        assert status == 413
    assert LARGEST_FILE < CAP


@pytest.mark.parametrize("path", [
    "/../../../../etc/passwd", "/static/../../../../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd",
    "/media/..%2f..%2fapp.py", "/.streamlit/config.toml", "/app/static/../app.py", "//etc/passwd",
    "/component/sagvae_draw/..%2f..%2fapp.py", "/_stcore/bidi-components/sagvae_draw/..%2f..%2fapp.py",
    "/views/train.py", "/runs/", "/%00", "/static/%2e%2e/%2e%2e/config.py"])
def test_no_file_can_be_asked_for(server, path):
    status, _, body = ask(server, path)
    assert status in (301, 400, 403, 404) or b"<!DOCTYPE html>" in body, "nothing, or the page of every address"
    assert not re.search(rb"root:|enableXsrf|import |\[server\]", body)


def test_an_error_of_ours_shows_no_traceback(browser, tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("import streamlit as st\nst.header('Broken')\nword = 'the-secret'\nraise RuntimeError(word)\n")
    with serving(tmp_path / "server.log", script) as (address, _):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        page.get_by_test_id("stException").wait_for()
        settled(page)
        text = page.content()
        page.close()
    for word in ("the-secret", "RuntimeError", "Traceback", "broken.py", str(tmp_path)):
        assert word not in text
    assert "RuntimeError: the-secret" in (tmp_path / "server.log").read_text(), "whoever runs the server can look"


def test_an_installed_wheel_is_guarded_looks_the_same_and_finds_its_runs(browser, tmp_path):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True,
                   capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    with serving(tmp_path / "server.log", root=tmp_path / "site", SAGVAE_RUNS=str(tmp_path / "runs"),
                 SAGVAE_DATA=str(tmp_path)) as (address, _):
        assert json.loads(ask(address, "/_stcore/host-config")[2])["allowedOrigins"] == []
        assert connects(address, address, None)
        assert not connects(address, "http://example.com", "example.com")
        assert ask(address, f"{UPLOAD}/nobody/file", "PUT", BEFORE + AFTER, **FORM)[0] == 403
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(60_000)
        page.goto(f"{address}/train")
        settled(page)
        start = page.get_by_role("button", name="Start training")
        assert start.evaluate("button => getComputedStyle(button).backgroundColor") == "rgb(14, 116, 144)"
        page.goto(f"{address}/robustness?data=MNIST+digits")
        settled(page)
        no_error(page)
        assert "MNIST digits is not on this machine" in page.get_by_test_id("stAlert").inner_text()
        page.close()
