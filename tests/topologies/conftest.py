"""Every way in which Redis may be set up, with passwords and certificates as administrators have
them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# The whole bridge between both vendors, for journeys.
from tests.flows.conftest import clock, config, equalture, journal, launch, redis_server, softgarden  # noqa: F401
from tests.needs import with_tls
from tests.redis_servers import Cluster, Guarded, RedisServer, binaries, free_port, running

SHAPES = ("password", pytest.param("tls", marks=pytest.mark.tls), "sentinel", "cluster")
USER = "bridge"
PASSWORD = "p@ss/word:1"
PERMISSIONS = (
    "on",
    f">{PASSWORD}",
    "~*",
    "+@all",
    "-@dangerous",
    "+info",
    "+config|get",
    "+cluster|slots",
    "+cluster|info",
)
"""As deploy/REDIS.md recommends."""


@pytest.fixture(scope="session")
def binary() -> Path:
    """The newest server of this machine."""
    return next(iter(binaries().values()))


@pytest.fixture
def url(request: pytest.FixtureRequest, shape: str) -> str:
    """The Redis of this *shape*, shared by all tests that do it no harm."""
    given: str = request.getfixturevalue(f"{shape}_url")
    return given


@pytest.fixture(scope="session")
def password_url(binary: Path) -> Iterator[str]:
    """One server that nobody uses but a user with a password and just the permissions it needs."""
    port = free_port()
    with running(RedisServer(binary, port=port, settings={"bind": "127.0.0.1"})) as server:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", USER, *PERMISSIONS)
            client.execute_command("ACL", "SETUSER", "default", "off")
        yield f"redis://{USER}:p%40ss%2Fword%3A1@127.0.0.1:{port}/3"


def openssl(folder: Path, *arguments: str) -> None:
    """Run it among the certificates."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private authority (ca.pem), and a certificate of it for this machine (own.pem, own.key)."""
    folder = tmp_path_factory.mktemp("certificates")

    # As Python 3.13 and newer want an authority to be, by VERIFY_X509_STRICT.
    authority = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    fresh = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = ("-subj", "/CN=Private CA", "-days", "2")
    openssl(
        folder, "req", "-x509", *fresh, "-keyout", "ca.key", "-out", "ca.pem", *names, *authority
    )
    openssl(folder, "req", *fresh, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=redis")
    (folder / "names").write_text("subjectAltName=DNS:localhost", "ascii")
    sign = (
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "names",
    )
    openssl(folder, "x509", "-req", "-in", "own.csr", "-out", "own.pem", *sign)
    return folder


@pytest.fixture(scope="session")
def tls_port(certificates: Path) -> Iterator[int]:
    """A server that speaks nothing but TLS, with a private authority, and wants to see a
    certificate of its clients.
    """
    binary = with_tls()
    assert binary is not None, "tests.needs deselects what asks for TLS"
    port = free_port()
    settings = {
        "bind": "127.0.0.1",
        "tls-port": str(port),
        "tls-cert-file": f"{certificates}/own.pem",
        "tls-key-file": f"{certificates}/own.key",
        "tls-ca-cert-file": f"{certificates}/ca.pem",
        "tls-auth-clients": "yes",
    }
    with running(RedisServer(binary, settings=settings)):
        yield port


@pytest.fixture(scope="session")
def tls_url(tls_port: int, certificates: Path) -> str:
    """The same, as the bridge is told."""
    files = f"ca={certificates}/ca.pem&cert={certificates}/own.pem&key={certificates}/own.key"
    return f"rediss://localhost:{tls_port}/0?{files}"


@pytest.fixture(scope="session")
def guarded(binary: Path) -> Iterator[Guarded]:
    """A primary and a replica under Sentinel's watch, to be left as they are."""
    with running(Guarded(binary)) as guarded:
        yield guarded


@pytest.fixture(scope="session")
def sentinel_url(guarded: Guarded) -> str:
    """The same, as the bridge is told."""
    return guarded.url


@pytest.fixture(scope="session")
def cluster(binary: Path) -> Iterator[Cluster]:
    """Three primaries and three replicas, to be left as they are."""
    with running(Cluster(binary)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cluster_url(cluster: Cluster) -> str:
    """The same, as the bridge is told."""
    return cluster.url
