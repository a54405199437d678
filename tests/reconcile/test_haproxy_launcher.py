"""The configuration that Ray writes, completed before HAProxy reads it."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from ray.serve._private.common import RequestProtocol
from ray.serve._private.constants import (
    SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER,
    SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
    SERVE_MULTIPLEXED_MODEL_ID,
)
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions, gRPCOptions

from regraft.reconcile import haproxy_launcher
from regraft.reconcile.applications import GRPC_SERVICES
from regraft.reconcile.haproxy_launcher import (
    OPTIONS,
    complete_file,
    completed,
    configuration_files,
    real_binary,
)
from regraft.reconcile.ports import free_port
from regraft.serving.grpc_messages import MESSAGES
from tests.server.processes import wait_until

needs_haproxy = pytest.mark.skipif(real_binary() is None, reason="no HAProxy on this platform")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A file as Ray's own code writes it, for one application with two replicas."""
    servers = [ServerConfig(f"replica-{n}", "127.0.0.1", 30000 + n) for n in range(2)]
    backend = BackendConfig("http-pool", "/v2", servers=servers, protocol=RequestProtocol.HTTP)
    return _written(tmp_path, {"http-pool": backend}, HTTPOptions(host="0.0.0.0", port=8000))


def _written(
    folder: Path,
    backends: dict[str, BackendConfig],
    http: HTTPOptions,
    grpc: gRPCOptions | None = None,
    **more: Any,
) -> Path:
    configuration = HAProxyConfig(
        socket_path=str(folder / "s"),
        server_state_base=str(folder),
        server_state_file=str(folder / "state"),
        metrics_socket_path=str(folder / "m"),
        http_options=http,
        **({"grpc_options": grpc} if grpc else {}),
        **more,
    )
    path = folder / "haproxy.cfg"
    HAProxyApi(configuration, backends, str(path))._generate_config_file_internal()
    return path


def _section(configuration: str, name: str) -> str:
    return configuration.split(f"\n{name}\n", 1)[1].split("\nbackend ", 1)[0]


def test_requests_are_buffered_by_default(written: Path) -> None:
    after = completed(written.read_text())
    assert _section(after, "defaults").startswith("\n".join(OPTIONS) + "\n")
    assert after.count("http-buffer-request") == 1


def test_metrics_and_statistics_listen_on_loopback_only(written: Path) -> None:
    after = completed(written.read_text())
    assert "    bind 127.0.0.1:9101\n" in _section(after, "frontend prometheus")
    assert "  bind 127.0.0.1:8404\n" in _section(after, "listen stats")


def test_the_public_listener_keeps_its_address(written: Path) -> None:
    assert "    bind *:8000\n" in _section(completed(written.read_text()), "frontend http_frontend")


def test_the_admin_socket_is_its_owners_alone(written: Path) -> None:
    after = completed(written.read_text())
    assert "mode 666" not in after
    assert "mode 600 level admin" in after


def test_another_replica_is_asked_within_a_quarter_of_a_second(written: Path) -> None:
    assert "    timeout connect 250ms\n" in completed(written.read_text())


def test_a_connect_time_that_the_user_chose_stays(written: Path) -> None:
    chosen = written.read_text().replace("timeout connect 5s", "timeout connect 7s")
    assert "    timeout connect 7s\n" in completed(chosen)


def test_headers_that_would_command_serve_go_no_further(written: Path) -> None:
    after = completed(written.read_text())
    public = _section(after, "frontend http_frontend").splitlines()[:4]
    model = SERVE_MULTIPLEXED_MODEL_ID
    headers = (SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER, model, model.replace("_", "-"))
    assert public[:3] == [f"    http-request del-header {name}" for name in headers]
    assert public[3].startswith("    http-request del-header x-request-id if !")
    assert completed(after) == after


def test_a_replica_that_is_idle_is_preferred_by_each_of_its_backends(written: Path) -> None:
    pool = _section(completed(written.read_text()), "backend http-pool").splitlines()
    (rule,) = [number for number, line in enumerate(pool) if "use-server" in line]
    chosen = pool[rule].split()[1]
    assert pool[rule] == f"    use-server {chosen} if {{ srv_conn(http-pool/{chosen}) eq 0 }}"
    assert pool[rule + 1].startswith("    server replica-0 ")
    assert chosen in {"replica-0", "replica-1"}


def test_nothing_is_preferred_where_there_is_one_replica(written: Path) -> None:
    lines = written.read_text().splitlines()
    alone = "\n".join(line for line in lines if not line.startswith("    server replica-1 "))
    assert "use-server" not in completed(alone)


@pytest.fixture
def grpc_frontend(tmp_path: Path) -> str:
    """Completed, as Ray writes it for the pool, an endpoint of its own and the control plane."""
    backends = {}
    for number, name in enumerate(("control", "pool", "endpoint-own.one")):
        servers = [ServerConfig(f"{name}-0", "127.0.0.1", 40000 + number)]
        for protocol in (RequestProtocol.HTTP, RequestProtocol.GRPC):
            key = f"{protocol.value.lower()}-{name}"
            backends[key] = BackendConfig(
                key, f"/{name}", app_name=name, servers=servers, protocol=protocol
            )
    grpc = gRPCOptions(port=8001, grpc_servicer_functions=[GRPC_SERVICES])
    path = _written(tmp_path, backends, HTTPOptions(host="127.0.0.1", port=8000), grpc)
    before = path.read_text()
    assert before.count("default_backend default_grpc_backend\n") == 1
    after = completed(before)
    assert completed(after) == after
    return _section(after, "frontend grpc_frontend")


def test_grpc_calls_that_name_no_application_are_for_the_pool(grpc_frontend: str) -> None:
    assert grpc_frontend.endswith("    default_backend grpc-pool")
    assert "    bind 127.0.0.1:8001 proto h2\n" in grpc_frontend


def test_grpc_calls_go_to_the_replicas_of_the_endpoint_that_they_name(grpc_frontend: str) -> None:
    message = MESSAGES["ModelInferRequest"](model_name="own.one", id="seven").SerializeToString()
    start = message[: 2 + len("own.one")].hex().upper()
    rule = "    http-request set-header application endpoint-own.one if "
    assert f"{rule}!{{ req.hdr(application) -m found }} " in grpc_frontend
    assert f"{{ req.body,bytes(5,9),hex -m str {start} }}\n" in grpc_frontend
    assert grpc_frontend.count("req.body") == 1


def test_what_is_too_much_for_the_replicas_is_refused_before_them(written: Path) -> None:
    pool = _section(completed(written.read_text()), "backend http-pool").splitlines()
    (rule,) = [line for line in pool if "status 503" in line]
    assert rule.endswith("if METH_POST { be_conn(http-pool) gt 256 }")
    assert "hdr Retry-After 1" in rule


@pytest.mark.parametrize("name", ["http-pool", "http-endpoint-a", "http-control"])
def test_replicas_notice_themselves_who_leaves(tmp_path: Path, name: str) -> None:
    servers = [ServerConfig("replica-0", "127.0.0.1", 30000)]
    backend = BackendConfig(name, "/", servers=servers, protocol=RequestProtocol.HTTP)
    written = _written(tmp_path, {name: backend}, HTTPOptions(host="127.0.0.1", port=8000))
    header = SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER
    after = completed(written.read_text())
    rule = f"    http-request set-header {header} ?1"
    assert rule in _section(after, f"backend {name}").splitlines()
    assert after.count(header) == 1


def test_what_changes_something_is_sent_to_one_control_plane_once(tmp_path: Path) -> None:
    def backend(name: str) -> str:
        servers = [ServerConfig("replica-0", "127.0.0.1", 30000)]
        made = BackendConfig(name, "/", servers=servers, protocol=RequestProtocol.HTTP)
        written = _written(tmp_path, {name: made}, HTTPOptions(host="127.0.0.1", port=8000))
        return _section(completed(written.read_text()), f"backend {name}")

    rule = "    http-request disable-l7-retry if !METH_GET"
    assert rule in backend("http-control").splitlines()
    assert rule not in backend("http-pool")


def test_only_these_lines_change(written: Path) -> None:
    before = written.read_text().splitlines()
    after = completed(written.read_text()).splitlines()
    assert len(set(after) - set(before)) == 20
    assert len(after) == len(before) + 12


def test_completing_twice_changes_nothing_more(written: Path) -> None:
    complete_file(written)
    once = written.read_text()
    complete_file(written)
    assert written.read_text() == once
    assert not list(written.parent.glob("haproxy.cfg.*[0-9]"))


def test_the_files_are_those_that_haproxy_is_given() -> None:
    arguments = ["-db", "-f", "/a/haproxy.cfg", "-dR", "-sf", "17", "18", "-x", "/a/admin.sock"]
    assert configuration_files(arguments) == [Path("/a/haproxy.cfg")]
    assert configuration_files(["-v"]) == []


@needs_haproxy
def test_haproxy_accepts_what_the_launcher_hands_it(written: Path) -> None:
    launcher = [sys.executable, haproxy_launcher.__file__]
    checked = subprocess.run([*launcher, "-c", "-f", written], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert OPTIONS[0] in written.read_text()


@needs_haproxy
def test_where_no_replica_answers_clients_are_told_to_come_again(tmp_path: Path) -> None:
    with _entry(tmp_path, free_port("127.0.0.1")) as port:
        answer = _asked(port)
    assert answer is not None
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json() == {"error": "No replica has answered: try again in a moment."}


@needs_haproxy
def test_what_has_no_route_yet_is_told_to_come_again(tmp_path: Path) -> None:
    """The control plane comes last and answers every path: until then none is known to be wrong."""
    with _entry(tmp_path, free_port("127.0.0.1")) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/v1/adaptations/one", timeout=10)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json() == {"error": "The server is starting: try again in a moment."}


class Echo(BaseHTTPRequestHandler):
    """Answers with the id of the request that came."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(self.headers["x-request-id"]).encode())

    def log_message(self, *_: object) -> None:
        pass


@needs_haproxy
def test_what_haproxy_refuses_itself_it_refuses_as_the_protocol_does(tmp_path: Path) -> None:
    """What is no HTTP at all it answers before it has read its configuration's errors."""
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, _entry(tmp_path, silent.getsockname()[1]) as port:
        answer = _sent(port, b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in head
    assert json.loads(body) == {"error": "The request is cut short, or breaks the rules of HTTP."}


@needs_haproxy
@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (b"a, b: c 7", b"a, b: c 7"),
        (b"x" * 128, b"x" * 128),
        (b"x" * 129, b"None"),
        (b"caf\xe9", b"None"),
        (b"", b"None"),
    ],
)
def test_what_can_be_no_id_of_a_request_goes_no_further(
    tmp_path: Path, given: bytes, passed: bytes
) -> None:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with _entry(tmp_path, server.server_port) as port:
            request = b"GET /v2 HTTP/1.0\r\nX-Request-Id: " + given + b"\r\n\r\n"
            answer = _sent(port, request, leave=False)
        server.shutdown()
    assert answer.endswith(b"\r\n\r\n" + passed)


@contextmanager
def _entry(folder: Path, replica: int) -> Iterator[int]:
    """The port of an HAProxy, as Ray has the launcher start it, before a replica at this one."""
    port, *others = (free_port("127.0.0.1") for _ in range(3))
    servers = [ServerConfig("one", "127.0.0.1", replica)]
    backend = BackendConfig("http-pool", "/v2", servers=servers, protocol=RequestProtocol.HTTP)
    ports = {"stats_port": others[0], "metrics_port": others[1]}
    options = HTTPOptions(host="127.0.0.1", port=port)
    path = _written(folder, {"http-pool": backend}, options, **ports)
    launcher = [sys.executable, haproxy_launcher.__file__, "-db", "-f", str(path)]
    with subprocess.Popen(
        launcher, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as haproxy:
        try:
            wait_until(lambda: _listens(port), 20, "HAProxy to listen")
            yield port
        finally:
            haproxy.kill()


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def _sent(port: int, request: bytes, leave: bool = True) -> bytes:
    """All that comes back, until nothing more does; `leave` says that no more will be sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        if leave:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def _asked(port: int) -> httpx.Response | None:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/v2/models/m/infer", json={}, timeout=10)
    except httpx.TransportError:
        return None


@needs_haproxy
def test_the_launcher_does_not_start_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_BINARY_PATH", haproxy_launcher.__file__)
    launcher = [sys.executable, haproxy_launcher.__file__, "-v"]
    assert "HAProxy version" in subprocess.run(launcher, capture_output=True, text=True).stdout


def test_the_launcher_needs_the_standard_library_only() -> None:
    imported = f"import runpy; runpy.run_path({haproxy_launcher.__file__!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", imported], check=True)
