"""No webhook reaches an address that is not of the public internet, whatever its URL or its name says."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from omoi_os.domain.addresses import UrlRefused, is_allowed, is_public, read_target
from omoi_os.errors import WebhookRefused
from omoi_os.services import webhook_sender
from omoi_os.services.webhook_sender import WebhookSender

INTERNAL = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255"),  # noqa: S104
    *("100.64.0.1", "100.127.255.255", "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.0.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1"),
    *("2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1"),
    *("3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1"),
    *("ff02::1", "ff0e::1", "4000::1", "::ffff:0:127.0.0.1", "not an address", "", "1.2.3", "0x7f.1"),
]
PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1"),
    *("192.169.0.1", "198.17.0.1", "223.255.255.254", "2606:4700::1111", "2a00:1450::1", "2001:4860::8888"),
]
HOSTILE_URLS = [
    *("http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//x/"),
    *(
        "javascript:alert(1)",
        "",
        " ",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "example.com",
    ),
    *("https://user:pass@example.com/", "https://@example.com/", "https://example.com:0/"),
    *("https://example.com:99999/", "https://example.com:x/", "https://exa mple.com/", "https://a\\@b/"),
    *("https://example.com\\.evil/", "https://example.com/\r\nHost: x", "https://example.com/\x00"),
    *("https://example.com/#f", "https://[::1", "https://[v1.x]/", "https://ex%61mple.com/"),
    *(
        "https://\uff45xample.com/",
        "https://example.com/é",
        "https://.example.com/",
        "https://example.com/{x}",
    ),
    *("https://[fe80::1%25lo]/", "https://example.com/" + "a" * 2000, "HTTPS ://example.com", "https:/a"),
]
LITERALS = [  # as the system's resolver reads them
    *("https://127.0.0.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/"),
    *("https://127.1/", "https://0/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://localhost/"),
    *("https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://0x7f.1/"),
    *("https://10.1.2.3:8443/x?y", "https://[64:ff9b::a00:1]/", "https://[2002:a00:1::]/"),
]


@pytest.mark.parametrize("address", INTERNAL)
def test_an_internal_address_is_not_public(address: str) -> None:
    assert not is_allowed(address, internal=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    assert is_allowed(address, internal=False)


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_what_is_no_address_of_a_receiver_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        read_target(url, internal=False)
    with pytest.raises(WebhookRefused):
        WebhookSender(resolve=lambda *_: ["8.8.8.8"]).check(url)


@pytest.mark.parametrize("url", LITERALS)
def test_an_internal_address_is_refused_however_it_is_written(url: str) -> None:
    sender = WebhookSender()
    with pytest.raises(WebhookRefused):
        sender.check(url)
    reply = sender.send(url, {}, b"{}")
    assert reply.status is None
    assert reply.error.startswith("not sent: ")


def test_one_internal_address_among_public_ones_is_enough() -> None:
    with pytest.raises(WebhookRefused):
        WebhookSender(resolve=lambda *_: ["8.8.8.8", "10.0.0.1"]).check("https://example.com/")


def test_a_name_that_has_no_address_yet_can_be_added_and_reaches_nobody() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    sender = WebhookSender(resolve=unknown)
    sender.check("https://example.com/")
    assert "no answer" in sender.send("https://example.com/", {}, b"{}").error


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "0.1.2.3", "::", "::ffff:169.254.169.254", "fe80::1", "224.0.0.1"]
)
def test_even_who_allows_internal_addresses_does_not_mean_these(address: str) -> None:
    assert not is_allowed(address, internal=True)
    assert is_allowed("127.0.0.1", internal=True)
    assert is_allowed("10.0.0.1", internal=True)


# On the wire


class Server:
    """Answers with fixed bytes, and remembers what it was sent."""

    def __init__(self, answer: bytes, *, context: ssl.SSLContext | None = None, drip: float = 0.0) -> None:
        self.answer, self.context, self.drip = answer, context, drip
        self.received: list[bytes] = []
        self.names: list[str | None] = []
        self.ended = False
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        if context is not None:
            context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.ended:
            try:
                plain, _ = self.listening.accept()
                with self.context.wrap_socket(plain, server_side=True) if self.context else plain as taken:
                    received = b""
                    while b"\r\n\r\n" not in received or not received.endswith(b"}"):
                        if not (piece := taken.recv(65_536)):
                            break
                        received += piece
                    self.received.append(received)
                    for place in range(0, len(self.answer), 1 if self.drip else len(self.answer)):
                        taken.sendall(self.answer[place : place + (1 if self.drip else len(self.answer))])
                        time.sleep(self.drip)
            except OSError:
                continue

    def close(self) -> None:
        """End it, and its thread, which would otherwise try to accept for ever."""
        self.ended = True
        self.listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=10)
        self.listening.close()
        assert not self._thread.is_alive()


type Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(answer: bytes, *, context: ssl.SSLContext | None = None, drip: float = 0.0) -> Server:
        servers.append(Server(answer, context=context, drip=drip))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def test_a_request_is_sent_whole_and_its_status_is_read(serve: Serve) -> None:
    server = serve(OK)
    reply = WebhookSender(internal=True).send(f"http://localhost:{server.port}/a?b=c", {"X-Y": "z"}, b"{}")
    assert reply.status == 204
    head = server.received[0].decode()
    assert head.startswith("POST /a?b=c HTTP/1.1\r\n")
    assert f"Host: localhost:{server.port}\r\n" in head
    assert "X-Y: z\r\n" in head


def test_no_redirect_is_followed(serve: Serve) -> None:
    other = serve(OK)
    answer = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n"
    first = serve(answer.encode())
    assert WebhookSender(internal=True).send(f"http://127.0.0.1:{first.port}/", {}, b"{}").status == 302
    assert other.received == []


def test_no_proxy_of_the_environment_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = serve(OK), serve(OK)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert WebhookSender(internal=True).send(f"http://127.0.0.1:{server.port}/", {}, b"{}").status == 204
    assert proxy.received == []


def test_a_name_is_asked_for_once_and_the_answer_is_what_is_reached(serve: Serve) -> None:
    server, asked = serve(OK), list[str]()

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    sender = WebhookSender(internal=True, resolve=rebinding)
    assert sender.send(f"http://rebinding.test:{server.port}/", {}, b"{}").status == 204
    assert asked == ["rebinding.test"]
    assert f"Host: rebinding.test:{server.port}" in server.received[0].decode()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000,
    ],
)
def test_what_is_no_answer_is_none(serve: Serve, answer: bytes) -> None:
    server = serve(answer or b" ")
    reply = WebhookSender(internal=True).send(f"http://127.0.0.1:{server.port}/", {}, b"{}")
    assert (reply.status, reply.error.startswith("no answer: ")) == (None, True)


def test_a_large_reply_is_not_read_to_its_end(serve: Serve) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 20_000)
    assert WebhookSender(internal=True).send(f"http://127.0.0.1:{server.port}/", {}, b"{}").status == 200


def test_a_reply_that_drips_is_cut_off(serve: Serve) -> None:
    server, began = serve(OK * 100, drip=0.05), time.monotonic()
    slow = WebhookSender(internal=True, seconds=0.5)
    assert slow.send(f"http://127.0.0.1:{server.port}/", {}, b"{}").status is None
    assert time.monotonic() - began < 2


def test_a_receiver_that_is_not_there_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    reply = WebhookSender(internal=True).send(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert "ConnectionRefusedError" in reply.error


def _certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side with a certificate for `name`, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


def test_the_certificate_must_be_that_of_the_name_though_an_address_is_reached(
    serve: Serve, tmp_path: Path
) -> None:
    at_server, at_client = _certificate(tmp_path, "hooks.test")
    server = serve(OK, context=at_server)
    sender = WebhookSender(internal=True, resolve=lambda *_: ["127.0.0.1"], context=at_client)
    assert sender.send(f"https://hooks.test:{server.port}/", {}, b"{}").status == 204
    assert server.names == ["hooks.test"]
    other = sender.send(f"https://other.test:{server.port}/", {}, b"{}")
    assert "SSLCertVerificationError" in other.error
    untrusting = WebhookSender(internal=True, resolve=lambda *_: ["127.0.0.1"])
    assert untrusting.send(f"https://hooks.test:{server.port}/", {}, b"{}").status is None


def test_the_host_of_a_usual_port_is_sent_without_it() -> None:
    target = read_target("https://hooks.test/x", internal=False)
    connection = webhook_sender._Pinned(target, ["8.8.8.8"], ssl.create_default_context())
    connection.sock = socket.socket()
    connection.putrequest("POST", "/x")
    sent = b"".join(connection._buffer)  # type: ignore[attr-defined]
    connection.close()
    assert b"Host: hooks.test" in sent
    assert b":443" not in sent
