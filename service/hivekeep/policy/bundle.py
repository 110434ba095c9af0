"""Signed bundles: a whole policy that can be delivered over any road.

Responsible for their form, for which keys count, for versions that may not go back, and for expiry.
A bundle is a DSSE envelope; beside it stand rotations, envelopes that name the keys to come and are
signed by a key of the time before.  Invariant: nothing of a payload is looked at before a key that
counts has signed those very bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from hivekeep.policy.layers import Layer, Level, parse_data, unusable
from hivekeep.policy.signing import Envelope, EnvelopeError, fingerprint, parse_envelope
from hivekeep.policy.values import PublicKey, Text

BUNDLE_TYPE = "application/vnd.hivekeep.policy-bundle+json"
ROTATION_TYPE = "application/vnd.hivekeep.policy-keys+json"
_Number = Annotated[int, Field(ge=1, le=2**53)]
_P = TypeVar("_P", bound=BaseModel)


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundlePayload(_Payload):
    """What a bundle says; ``name`` is for people."""

    name: Text
    version: _Number
    expires: AwareDatetime
    mandatory: dict[str, Any] = {}
    recommended: dict[str, Any] = {}
    contact: Text | None = None


class RotationPayload(_Payload):
    """The keys that count from ``sequence`` on, in place of those before."""

    sequence: _Number
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1, max_length=16)]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as a file: the envelope and the rotations that lead to its signers' keys."""

    envelope: Envelope
    rotations: tuple[Envelope, ...] = ()

    def text(self) -> str:
        """The file's content."""
        rotations = [rotation.as_data() for rotation in self.rotations]
        data = {**self.envelope.as_data(), **({"rotations": rotations} if rotations else {})}
        return json.dumps(data, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What earlier bundles of this machine have shown, so that nothing older is taken again.

    ``keys`` count while the machine's ``pinned`` keys stay what they were.
    """

    version: int = 0
    payload_sha256: str = ""
    sequence: int = 0
    keys: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle that may be used until it expires, and what to remember of it."""

    payload: BundlePayload
    signers: tuple[str, ...]
    remember: Remembered

    def layers(self, source: str) -> list[Layer]:
        """What it says.

        :raises PolicyInvalidError: if the policy in it is wrong.
        """
        name = f"{source} ({self.payload.name}, version {self.payload.version})"
        mandatory = parse_data(self.payload.mandatory, Level.MANDATORY, name)
        if self.payload.contact is not None:
            values = {"support.contact": self.payload.contact, **mandatory.values}
            mandatory = Layer(Level.MANDATORY, name, values)
        recommended = parse_data(self.payload.recommended, Level.RECOMMENDED, name)
        return [mandatory, recommended]


def build_bundle(payload: BundlePayload) -> Envelope:
    """The envelope of a bundle, yet without signatures."""
    return Envelope(BUNDLE_TYPE, _encode(payload))


def build_rotation(payload: RotationPayload) -> Envelope:
    """The envelope of a rotation, yet without signatures."""
    return Envelope(ROTATION_TYPE, _encode(payload))


def parse_bundle(raw: bytes) -> Bundle:
    """The parts of a bundle's file; nothing is verified.

    :raises EnvelopeError: if it is no bundle.
    """
    envelope = parse_envelope(raw, BUNDLE_TYPE)
    rotations = json.loads(raw).get("rotations", [])
    if not isinstance(rotations, list):
        raise EnvelopeError("its rotations are no list")
    return Bundle(
        envelope, tuple(parse_envelope(json.dumps(one), ROTATION_TYPE) for one in rotations)
    )


def verify_bundle(
    raw: bytes, *, source: str, pinned: Sequence[str], remembered: Remembered, now: datetime
) -> Verified:
    """Take a bundle, or say why not.

    :param pinned: the keys that this machine trusts from the start.
    :raises PolicyInvalidError: if it is damaged, wrongly signed, expired, or older than known.
    """
    try:
        bundle = parse_bundle(raw)
        sequence, trusted = _trusted_keys(bundle, pinned, remembered)
        signers = bundle.envelope.valid_signers(trusted)
        if not signers:
            raise EnvelopeError(_wrongly_signed(bundle.envelope, trusted))
        payload = _decode(BundlePayload, bundle.envelope.payload)
    except EnvelopeError as error:
        text = str(error)
        raise unusable(source, f"{text[:1].upper()}{text[1:]}.") from error
    digest = fingerprint(bundle.envelope.payload)
    problem = _too_old(payload, digest, remembered, now)
    if problem:
        raise unusable(source, problem)
    known = Remembered(payload.version, digest, sequence, trusted, tuple(pinned))
    return Verified(payload, signers, known)


def _trusted_keys(
    bundle: Bundle, pinned: Sequence[str], remembered: Remembered
) -> tuple[int, tuple[str, ...]]:
    """Walk from the pinned keys, or those remembered in their place, to those that count now.

    A rotation that no key of the time before has signed leads nowhere and is passed over.
    """
    sequence, trusted = 0, tuple(pinned)
    if remembered.sequence and remembered.pinned == tuple(pinned):
        sequence, trusted = remembered.sequence, remembered.keys
    for rotation in bundle.rotations:
        if not rotation.valid_signers(trusted):
            continue
        stated = _decode(RotationPayload, rotation.payload)
        if stated.sequence > sequence:
            sequence, trusted = stated.sequence, stated.keys
    return sequence, trusted


def _too_old(payload: BundlePayload, digest: str, remembered: Remembered, now: datetime) -> str:
    if payload.version < remembered.version:
        return (
            f"It is version {payload.version}, but version {remembered.version} was in force "
            "already, and versions may not go back."
        )
    if payload.version == remembered.version and digest != remembered.payload_sha256:
        return f"There is another version {payload.version} already; a change needs a new number."
    if now >= payload.expires:
        return f"It expired on {payload.expires:%Y-%m-%d %H:%M %Z}."
    return ""


def _wrongly_signed(envelope: Envelope, trusted: Iterable[str]) -> str:
    if not envelope.signatures:
        return "it is not signed"
    known = set(trusted)
    if any(key in known for key, _ in envelope.signatures):
        return "its signature does not fit its content: it was changed after signing"
    return "it is signed by no key that counts here"


def _encode(payload: BaseModel) -> bytes:
    data = payload.model_dump(mode="json")
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _decode(kind: type[_P], raw: bytes) -> _P:
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise EnvelopeError(f"its {place or 'content'} is wrong: {first['msg']}") from error
