"""``reencrypt``: after the encryption keys were changed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import orjson

from bridge.app import Runtime, reencryption
from bridge.cli.common import config_option, json_option, operate
from bridge.store.reencryption import Tally


@click.command()
@config_option
@json_option
def reencrypt(config: Path, as_json: bool) -> None:
    """Encrypt everything stored with the newest key; then older ones can be taken off the list.

    May run beside daemons that have the newest key already, and may be repeated. Exit code 1:
    something could not be read.
    """
    tallies = operate(config, _reencrypt)
    if as_json:
        click.echo(orjson.dumps({name: asdict(tally) for name, tally in tallies.items()}))
    for name, tally in tallies.items():
        if not as_json:
            words = name.replace("_", " ")
            click.echo(
                f"{words}: {tally.renewed} encrypted anew, {tally.current} fine already, {len(tally.left)} left"
            )
        for reason in tally.left:
            click.echo(f"Left as it was: {reason}", err=True)
    if any(tally.left for tally in tallies.values()):
        raise SystemExit(1)


async def _reencrypt(runtime: Runtime) -> dict[str, Tally]:
    return await reencryption(runtime).run()
