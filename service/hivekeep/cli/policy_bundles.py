"""``hivekeep policy`` for those who deploy policies: keys, bundles, signatures, rotations.

Responsible for reading files and printing.  Private keys are written once, readable by their owner
only, and read only to sign; a bundle that this cannot verify is not called good.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from hivekeep.cli.output import JsonFlag, console, print_json, safe
from hivekeep.cli.policy_files import read_bytes, read_layer
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.wiring import policy_sources
from hivekeep.domain.errors import StorageError, UsageError
from hivekeep.policy.bundle import (
    ROTATION_TYPE,
    Bundle,
    BundlePayload,
    Remembered,
    RotationPayload,
    build_bundle,
    build_rotation,
    parse_bundle,
    verify_bundle,
)
from hivekeep.policy.detached import sign_file, signature_path
from hivekeep.policy.loading import pinned_keys
from hivekeep.policy.signing import (
    EnvelopeError,
    key_id,
    load_private,
    load_public,
    new_key,
    parse_envelope,
    private_pem,
    public_pem,
)

_Key = Annotated[Path, typer.Option("--key", help="Private key file (PEM).", dir_okay=False)]
_Passphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File with the key's passphrase.", dir_okay=False),
]
_Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.", dir_okay=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to ``hivekeep policy``."""
    for command in (keygen, bundle, sign, verify, rotate):
        app.command(command.__name__)(command)


def keygen(output: _Output, passphrase_file: _Passphrase = None, as_json: JsonFlag = False) -> None:
    """Make a signing key: OUTPUT is the private key, OUTPUT with '.pub.pem' what machines pin."""
    key = new_key()
    public = output.with_name(f"{output.stem}.pub.pem")
    _write_new(output, private_pem(key, _passphrase(passphrase_file)), 0o600)
    _write_new(public, public_pem(key.public_key()), 0o644)
    name = key_id(key.public_key())
    if as_json:
        print_json({"private": str(output), "public": str(public), "id": name})
        return
    console.print(f"private key  {safe(output)} (keep it off the machines it governs)")
    console.print(f"public key   {safe(public)} (goes to /etc/hivekeep/policies/keys)")
    console.print(f"id           {name}")


def bundle(
    output: _Output,
    version: Annotated[int, typer.Option(min=1, help="Higher than that of any bundle before.")],
    mandatory: Annotated[
        Path | None, typer.Option(help="Policy file that binds.", dir_okay=False)
    ] = None,
    recommended: Annotated[
        Path | None, typer.Option(help="Policy file that users may change.", dir_okay=False)
    ] = None,
    name: Annotated[str, typer.Option(help="Whose policy it is.")] = "policy",
    expires: Annotated[
        str, typer.Option(help="Day until which it holds, as 2027-12-31; or a number of days.")
    ] = "365",
    contact: Annotated[str, typer.Option(help="Whom users ask when it cannot be used.")] = "",
    rotation: Annotated[
        list[Path] | None,
        typer.Option(help="Rotation that leads to the signing key; oldest first.", dir_okay=False),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Pack policy files into a bundle; 'hivekeep policy sign' then signs it."""
    payload = BundlePayload(
        name=name,
        version=version,
        expires=_expiry(expires, datetime.now(UTC)),
        mandatory=_content(mandatory),
        recommended=_content(recommended),
        contact=contact or None,
    )
    rotations = tuple(
        _envelope(parse_envelope, read_bytes(path), path, ROTATION_TYPE) for path in rotation or []
    )
    _write(output, Bundle(build_bundle(payload), rotations).text())
    if as_json:
        print_json({"bundle": str(output), "version": version, "expires": _iso(payload.expires)})
        return
    console.print(f"{safe(output)}: version {version}, until {payload.expires:%Y-%m-%d %H:%M} UTC")
    console.print(f"Not signed yet: hivekeep policy sign {safe(output)} --key KEY")


def sign(
    file: Annotated[Path, typer.Argument(help="A bundle, or a recipe.", dir_okay=False)],
    key: _Key,
    passphrase_file: _Passphrase = None,
    as_json: JsonFlag = False,
) -> None:
    """Sign a bundle, within it; or any other file, as a recipe, with a signature beside it."""
    private = load_private(read_bytes(key), _passphrase(passphrase_file))
    raw = read_bytes(file)
    try:
        found = parse_bundle(raw)
    except EnvelopeError:
        target = signature_path(file)
        _write(target, sign_file(raw, private))
    else:
        target = file
        _write(file, Bundle(found.envelope.signed_by(private), found.rotations).text())
    if as_json:
        print_json({"signature": str(target), "key": key_id(private.public_key())})
        return
    console.print(f"{safe(target)}: signed by {key_id(private.public_key())}")


def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A bundle.", dir_okay=False)],
    pin: Annotated[
        list[Path] | None,
        typer.Option(help="Public key to trust, instead of this machine's.", dir_okay=False),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a bundle as a machine does: signature, rotations, expiry, and the policy in it.

    What this machine remembers of earlier bundles is not looked at and not changed.
    """
    profile: Profile = context.obj
    sources = policy_sources(profile)
    pinned = (
        tuple(key_id(_envelope(load_public, read_bytes(path), path)) for path in pin)
        if pin
        else pinned_keys(sources.keys, sources.owners)
    )
    verified = verify_bundle(
        read_bytes(file), source=str(file), pinned=pinned, remembered=Remembered(),
        now=datetime.now(UTC),
    )  # fmt: skip
    layers = verified.layers(str(file))
    payload = verified.payload
    if as_json:
        print_json(
            {
                "name": payload.name, "version": payload.version, "expires": _iso(payload.expires),
                "signers": list(verified.signers), "keys": {
                    layer.level.value: sorted(layer.values) for layer in layers
                },
            }
        )  # fmt: skip
        return
    console.print(f"[green]ok[/] {safe(payload.name)}, version {payload.version}")
    console.print(f"until    {payload.expires:%Y-%m-%d %H:%M %Z}")
    for signer in verified.signers:
        console.print(f"signed   {signer}")
    for layer in layers:
        console.print(f"{layer.level.value}: {len(layer.values)} keys")


def rotate(
    new: Annotated[
        list[Path],
        typer.Argument(help="Public keys that count from now on (PEM).", dir_okay=False),
    ],
    key: _Key,
    sequence: Annotated[int, typer.Option(min=1, help="1 for the first rotation, then 2, ...")],
    output: _Output,
    passphrase_file: _Passphrase = None,
    as_json: JsonFlag = False,
) -> None:
    """Let new keys take the place of the old: signed by an old one, packed into later bundles."""
    private = load_private(read_bytes(key), _passphrase(passphrase_file))
    ids = tuple(key_id(_envelope(load_public, read_bytes(path), path)) for path in new)
    envelope = build_rotation(RotationPayload(sequence=sequence, keys=ids)).signed_by(private)
    _write(output, envelope.text())
    if as_json:
        print_json({"rotation": str(output), "sequence": sequence, "keys": list(ids)})
        return
    console.print(f"{safe(output)}: rotation {sequence} to {len(ids)} keys")


def _content(path: Path | None) -> dict[str, Any]:
    """The JSON of a policy file that is known to be a policy."""
    if path is None:
        return {}
    read_layer(path)
    data: dict[str, Any] = json.loads(read_bytes(path))
    data.pop("$schema", None)
    return data


def _expiry(text: str, now: datetime) -> datetime:
    try:
        if text.isdecimal():
            return (now + timedelta(days=int(text))).replace(microsecond=0)
        return datetime.combine(date.fromisoformat(text), time.max, UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"'{text}' is no day.", next_step="Give 2027-12-31, or a number of days."
        ) from error


def _envelope(parse: Any, raw: bytes, path: Path, *more: Any) -> Any:
    try:
        return parse(raw, *more)
    except EnvelopeError as error:
        raise UsageError(f"'{path}' cannot be used.", why=f"{error}.") from error


def _passphrase(path: Path | None) -> bytes | None:
    return None if path is None else read_bytes(path).rstrip(b"\r\n")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"'{path}' cannot be written.", why=f"{error.strerror}.") from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """A key file is never written over another."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except FileExistsError as error:
        raise UsageError(f"'{path}' exists.", next_step="Give another name.") from error
    except OSError as error:
        raise StorageError(f"'{path}' cannot be written.", why=f"{error.strerror}.") from error


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
