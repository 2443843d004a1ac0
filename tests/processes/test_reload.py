"""SIGHUP: customers' files are read again, all or none of them."""

from __future__ import annotations

import hashlib
import signal

import yaml

from bridge.sandbox import SoftgardenSandbox
from tests.processes.conftest import TOKENS, Launch, Place, eventually


async def test_reload(launch: Launch, place: Place, softgarden: SoftgardenSandbox) -> None:
    """A changed customer is served after SIGHUP; a wrong file leaves the old ones serving; a
    changed bridge.yaml is told.
    """
    daemon = launch()
    await daemon.ready()
    customers = daemon.folder / "customers"
    client = softgarden.connect(daemon.url, "another-token-of-acme", customer="acme")
    good = (customers / "acme.yaml").read_text()

    (customers / "acme.yaml").write_text(good + "\nnonsense: 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    (refused,) = await eventually(lambda: daemon.entries("config.reload_refused"))
    assert "acme.yaml" in refused["complaints"][0]
    served = softgarden.connect(daemon.url, TOKENS["acme"], customer="acme")
    assert (await served.list_tests()).status == 200

    changed = place.customers["acme"]
    changed["softgarden"]["tokens_sha256"].append(
        hashlib.sha256(b"another-token-of-acme").hexdigest()
    )
    (customers / "acme.yaml").write_text(yaml.safe_dump(changed))
    assert (await client.list_tests()).status == 401
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(lambda: daemon.entries("config.reloaded"))
    assert (await client.list_tests()).status == 200
    assert not daemon.entries("config.needs_restart")

    with (daemon.folder / "bridge.yaml").open("a") as file:
        file.write("retention: 30d\n")
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(lambda: daemon.entries("config.needs_restart"))
