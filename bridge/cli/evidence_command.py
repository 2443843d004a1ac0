"""``evidence``: everything that happened to an invitation as one signed file."""

from __future__ import annotations

import os
from pathlib import Path

import click
import orjson

from bridge import app
from bridge.cli.operator_session import (
    load_usable_settings,
    require_signing_keys,
    run_on_stored_data,
)
from bridge.cli.options import config_option
from bridge.cli.timeline_view import print_signature_verdict
from bridge.errors import BridgeError
from bridge.service.evidence import build_evidence as make_evidence
from bridge.service.evidence import find_evidence_faults

_LARGEST = 1024 * 1024


@click.command()
@click.argument("invitation_id", metavar="ID", required=False)
@click.option(
    "-o",
    "output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it here, where nothing may be yet; else to standard output.",
)
@click.option(
    "--check",
    "checked",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Check a file that was made before, with this configuration's signing_keys; no Redis.",
)
@config_option
def evidence(
    invitation_id: str | None, output: Path | None, checked: Path | None, config: Path
) -> None:
    """Write one signed JSON file of everything that happened to an invitation, or check one.

    \b
    assessment-bridge evidence iv_7yvH... -o evidence.json
    assessment-bridge evidence --check evidence.json
    """
    if (invitation_id is None) is (checked is None):
        raise click.UsageError("Give either an ID or --check FILE.")
    if checked is not None:
        _check(checked, config)
    else:
        _write(config=config, invitation_id=invitation_id, output=output)


@run_on_stored_data
async def _write(runtime: app.Runtime, invitation_id: str, output: Path | None) -> None:
    keys = require_signing_keys(runtime)
    invitation = await runtime.services.operations.invitation(invitation_id)
    document = make_evidence(invitation, keys, app.utc_now())
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
    except OSError as error:
        raise BridgeError(f"{output}: {error.strerror}; nothing was written") from None
    click.echo(output)


def _check(file: Path, config: Path) -> None:
    settings = load_usable_settings(config)
    try:
        with file.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise ValueError("it is too large")
        faults = find_evidence_faults(orjson.loads(raw), settings.signing_keys)
    except OSError as error:
        raise BridgeError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        reason = "it is no JSON" if isinstance(error, orjson.JSONDecodeError) else error
        raise BridgeError(f"{file}: {reason}") from None
    print_signature_verdict(faults, str(file))
    if faults:
        raise SystemExit(1)
