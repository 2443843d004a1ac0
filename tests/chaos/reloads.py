"""Strikes at the configuration: customers' files are changed, broken, mended, removed and brought
back, and the daemons are told by SIGHUP.
"""

from __future__ import annotations

import asyncio
import signal
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import yaml

from bridge.core.ids import hash_secret
from tests.chaos.actors import Journey
from tests.chaos.plan import GUEST, Plan
from tests.chaos.scene import Scene
from tests.chaos.stage import Bridge, describe_customer, token_of

_SUCCESS = "bridge_config_last_reload_successful"


async def reload_files(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """A file is changed, then broken, then mended: what is fine is in force, what is not changes
    nothing.
    """
    name = "acme"
    before, another = describe_customer(name), f"another-{token_of(name)}"
    changed = describe_customer(name)
    changed["softgarden"]["tokens_sha256"].append(hash_secret(another))
    _put_in_force(scene, name, yaml.safe_dump(changed))
    await _await_token(scene, another, accepted=True, promise="a new token is in force")
    _put_in_force(scene, name, "softgarden: {tokens_sha256: [")
    await _await_metric(scene, 0.0, "a broken file is refused")
    await asyncio.sleep(pause)
    await _await_token(scene, another, accepted=True, promise="what was in force stays in force")
    _put_in_force(scene, name, yaml.safe_dump(before))
    await _await_metric(scene, 1.0, "a mended file is in force")
    await _await_token(scene, another, accepted=False, promise="a removed token is refused")
    return ()


async def remove_customer(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """A customer is removed while an invitation is open, and brought back: callbacks get 404, pages
    410 meanwhile, and then it goes on.
    """
    number = len(scene.journeys) + len(scene.guests)
    plan = Plan(
        number,
        scene.stage.options.seed,
        GUEST,
        ending="callback",
        deletion="never",
        parallel=False,
        repeats=False,
        fit="high",
    )
    journey = Journey(scene.stage, plan)
    scene.guests.append(journey)
    known = await journey.begin()
    if not known.answers:
        scene.unkept.append("the guest was never invited")
        return ()
    reference_id, stage = str(known.reference_id), scene.stage
    reply = await stage.softgarden.read(GUEST, str(known.invitation_id), tries=20)
    page = reply.json["result"]["resultUrl"]
    _put_in_force(scene, GUEST, None)
    await _await_token(scene, token_of(GUEST), accepted=False, promise="a customer is removed")
    await stage.equalture.complete(reference_id, fit=known.fit, send_callback=False)
    url = journey.application_of(known).callback_url

    async def is_gone(bridge: Bridge) -> bool:
        """Until both were answered: any call may get lost."""
        there = stage.through(bridge, url)
        status = await stage.equalture.put_callback(reference_id, url=there)
        shown, _ = await bridge.ask(stage.session, urlsplit(page).path)
        if status not in (0, 404) or shown not in (0, 410):
            scene.unkept.append(f"of a removed customer: callback {status}, page {shown}")
        return bool(status and shown)

    await _await_all(scene, is_gone, "a removed customer's callbacks and pages are answered")
    await asyncio.sleep(pause)
    known.finished_at, known.due = perf_counter(), "COMPLETED"
    _put_in_force(scene, GUEST, yaml.safe_dump(describe_customer(GUEST)))
    await _await_token(scene, token_of(GUEST), accepted=True, promise="a customer is back")
    await journey.report(known)
    await journey.learn(known)
    return ()


def _put_in_force(scene: Scene, name: str, text: str | None) -> None:
    """Have every bridge read this file of a customer's; None: it is removed."""
    for bridge in scene.stage.bridges:
        file = bridge.config / "customers" / f"{name}.yaml"
        if text is None:
            file.unlink()
        else:
            new = file.with_suffix(".new")
            new.write_text(text, "utf-8")
            new.replace(file)
        assert bridge.process is not None
        bridge.process.send_signal(signal.SIGHUP)


async def _await_token(scene: Scene, token: str, *, accepted: bool, promise: str) -> None:
    async def ask(bridge: Bridge) -> bool:
        status, _ = await bridge.ask(scene.stage.session, "/softgarden/tests", token=token)
        return status != 0 and (status != 401) is accepted

    await _await_all(scene, ask, promise)


async def _await_metric(scene: Scene, value: float, promise: str) -> None:
    async def ask(bridge: Bridge) -> bool:
        _, text = await bridge.ask(scene.stage.session, "/metrics", admin=True)
        found = [line.split()[-1] for line in text.splitlines() if line.startswith(_SUCCESS)]
        return [float(one) for one in found] == [value]

    await _await_all(scene, ask, promise)


async def _await_all(scene: Scene, ask: Any, promise: str) -> None:
    async def all_of_them() -> bool:
        return all(await asyncio.gather(*(ask(bridge) for bridge in scene.stage.bridges)))

    await scene.await_true(all_of_them, promise)
