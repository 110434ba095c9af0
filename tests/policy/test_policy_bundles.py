"""Signed bundles: which are taken, which are refused, and that nothing can be rolled back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.policy.files import Desk

from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import PolicyInvalidError, UsageError
from hivekeep.policy import Level, PolicyHolder, load_policy
from hivekeep.policy.bundle import (
    Bundle,
    BundlePayload,
    RotationPayload,
    build_bundle,
    build_rotation,
)
from hivekeep.policy.detached import sign_file, signers_of
from hivekeep.policy.signing import (
    Envelope,
    EnvelopeError,
    fingerprint,
    key_id,
    load_private,
    load_public,
    new_key,
    parse_envelope,
    private_pem,
    public_pem,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
OLD, NEW, STRANGER = new_key(), new_key(), new_key()
READ = Action(ActionKind.READ_FILE, path="/secret/x.pdf")


def pin(desk: Desk, *keys: Ed25519PrivateKey) -> None:
    folder = desk.root / "keys"
    folder.mkdir(mode=0o755, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number, key in enumerate(keys):
        (folder / f"{number}.pem").write_bytes(public_pem(key.public_key()))


def payload(version: int = 1, **more: Any) -> BundlePayload:
    values: dict[str, Any] = {
        "name": "Example Ltd", "version": version, "expires": START + timedelta(days=30),
        "mandatory": {"files": {"denied_folders": ["/secret"]}},
        "recommended": {"runs": {"max_agents": 7}},
        "contact": "IT desk, 1234",
    }  # fmt: skip
    return BundlePayload.model_validate({**values, **more})


def rotation(sequence: int, signer: Ed25519PrivateKey, *keys: Ed25519PrivateKey) -> Envelope:
    ids = tuple(key_id(key.public_key()) for key in keys)
    return build_rotation(RotationPayload(sequence=sequence, keys=ids)).signed_by(signer)


def deliver(
    desk: Desk,
    content: BundlePayload,
    *signers: Ed25519PrivateKey,
    rotations: tuple[Envelope, ...] = (),
) -> None:
    envelope = build_bundle(content)
    for key in signers:
        envelope = envelope.signed_by(key)
    (desk.root / "policy.bundle").write_text(Bundle(envelope, rotations).text(), encoding="utf-8")


def why(desk: Desk, now: datetime = START) -> str:
    """The reason for which the bundle is refused; empty if it is taken."""
    try:
        load_policy(replace(desk.sources, now=lambda: now))
    except PolicyInvalidError as error:
        return error.why
    return ""


def test_a_bundle_binds_and_recommends(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(), OLD)
    policy = load_policy(replace(desk.sources, now=lambda: START))
    assert not policy.decide(READ).allowed
    assert "Example Ltd, version 1" in policy.decide(READ).source
    levels = {row.key: row.level for row in policy.rows()}
    assert levels["files.denied_folders"] is Level.MANDATORY
    assert levels["runs.max_agents"] is Level.RECOMMENDED
    assert policy.settings.support.contact == "IT desk, 1234"
    desk.user({"files": {"denied_folders": []}, "runs": {"max_agents": 9}})
    policy = load_policy(replace(desk.sources, now=lambda: START))
    assert not policy.decide(READ).allowed
    assert policy.settings.runs.max_agents == 9


def test_only_keys_that_are_pinned_count(desk: Desk) -> None:
    deliver(desk, payload(), OLD)
    assert "no key that counts" in why(desk)
    pin(desk, OLD)
    assert why(desk) == ""
    deliver(desk, payload(2), STRANGER)
    assert "no key that counts" in why(desk)
    deliver(desk, payload(2))
    assert "not signed" in why(desk)
    deliver(desk, payload(2), STRANGER, OLD)
    assert why(desk) == ""


def test_a_changed_bundle_is_refused(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(), OLD)
    path = desk.root / "policy.bundle"
    data = json.loads(path.read_text())
    data["payload"] = json.loads(Bundle(build_bundle(payload(mandatory={}))).text())["payload"]
    path.write_text(json.dumps(data))
    assert "changed after signing" in why(desk)


def test_a_missing_bundle_is_not_no_policy(desk: Desk) -> None:
    pin(desk, OLD)
    assert "there is no bundle" in why(desk)


def test_versions_may_not_go_back(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(5), OLD)
    assert why(desk) == ""
    deliver(desk, payload(4), OLD)
    assert "may not go back" in why(desk)
    deliver(desk, payload(5, mandatory={}), OLD)
    assert "another version 5" in why(desk)
    deliver(desk, payload(6), OLD)
    assert why(desk) == ""
    deliver(desk, payload(5), OLD)
    assert "may not go back" in why(desk)


def test_what_is_remembered_cannot_be_garbled_away(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(5), OLD)
    assert why(desk) == ""
    state = desk.root / "state" / "policy.json"
    state.write_text('{"version": "none"')
    with pytest.raises(PolicyInvalidError) as caught:
        desk.load()
    assert str(state) in caught.value.what


def test_a_refused_bundle_is_not_remembered(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(9, mandatory={"nonsense": {}}), OLD)
    assert "no such key" in why(desk)
    deliver(desk, payload(1), OLD)
    assert why(desk) == ""


def test_an_expired_bundle_is_refused_and_says_whom_to_ask(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(), OLD)
    (desk.root / "contact").write_text("Ms Wong,\n  room 4\n")
    late = START + timedelta(days=31)
    with pytest.raises(PolicyInvalidError) as caught:
        load_policy(replace(desk.sources, now=lambda: late))
    assert "expired" in caught.value.why
    assert "Ms Wong, room 4" in caught.value.next_step


def test_the_holder_notices_that_a_bundle_expires(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(), OLD)
    now = START
    holder = PolicyHolder(replace(desk.sources, now=lambda: now))
    other = Action(ActionKind.READ_FILE, path="/a.pdf")
    assert holder.current().decide(other).allowed
    now = START + timedelta(days=30)
    assert not holder.current().decide(other).allowed
    deliver(desk, payload(2, expires=START + timedelta(days=60)), OLD)
    assert holder.current().decide(other).allowed


def test_keys_succeed_each_other(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(1), OLD)
    assert why(desk) == ""
    deliver(desk, payload(2), NEW)
    assert "no key that counts" in why(desk)
    first = rotation(1, OLD, NEW)
    deliver(desk, payload(2), NEW, rotations=(first,))
    assert why(desk) == ""
    # From now on the old key counts no more, with or without the rotation at hand.
    deliver(desk, payload(3), OLD)
    assert "no key that counts" in why(desk)
    deliver(desk, payload(3), NEW)
    assert why(desk) == ""
    # A second rotation has to be signed by the new key.
    deliver(desk, payload(4), STRANGER, rotations=(first, rotation(2, OLD, STRANGER)))
    assert "no key that counts" in why(desk)
    deliver(desk, payload(4), STRANGER, rotations=(first, rotation(2, NEW, STRANGER)))
    assert why(desk) == ""


def test_a_new_profile_finds_the_newest_keys_by_itself(desk: Desk) -> None:
    pin(desk, OLD)
    chain = (rotation(1, OLD, NEW), rotation(2, NEW, STRANGER))
    deliver(desk, payload(8), STRANGER, rotations=chain)
    assert why(desk) == ""
    deliver(desk, payload(9), NEW, rotations=chain)
    assert "no key that counts" in why(desk)


def test_pinning_other_keys_begins_anew(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(1), NEW, rotations=(rotation(1, OLD, NEW),))
    assert why(desk) == ""
    pin(desk, STRANGER)
    assert "no key that counts" in why(desk)
    deliver(desk, payload(2), STRANGER)
    assert why(desk) == ""
    deliver(desk, payload(1), STRANGER)
    assert "may not go back" in why(desk)


def test_a_rotation_is_no_bundle_and_a_bundle_no_rotation(desk: Desk) -> None:
    pin(desk, OLD)
    (desk.root / "policy.bundle").write_text(Bundle(rotation(1, OLD, NEW)).text())
    assert "not 'application/vnd.hivekeep.policy-bundle+json'" in why(desk)
    deliver(desk, payload(), OLD, rotations=(build_bundle(payload()).signed_by(OLD),))
    assert "not 'application/vnd.hivekeep.policy-keys+json'" in why(desk)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0}, {"expires": "2026-12-01T00:00:00"}, {"expires": "soon"}, {"name": ""},
        {"more": 1}, {"mandatory": []},
    ],
    ids=str,
)  # fmt: skip
def test_a_payload_has_to_be_right_even_if_it_is_signed(desk: Desk, change: dict[str, Any]) -> None:
    pin(desk, OLD)
    good = json.loads(build_bundle(payload()).payload)
    raw = json.dumps({**good, **change}).encode()
    envelope = Envelope("application/vnd.hivekeep.policy-bundle+json", raw).signed_by(OLD)
    (desk.root / "policy.bundle").write_text(Bundle(envelope).text())
    assert next(iter(change)) in why(desk)


def test_a_key_file_that_is_no_key(desk: Desk) -> None:
    pin(desk, OLD)
    deliver(desk, payload(), OLD)
    wrong = generate_private_key(SECP256R1()).public_key()
    for content in (b"nonsense", public_pem(wrong)):  # type: ignore[arg-type]
        (desk.root / "keys" / "9.pem").write_bytes(content)
        assert "As a key" in why(desk)


def test_private_keys_as_files() -> None:
    key = new_key()
    assert key_id(load_private(private_pem(key, None), None).public_key()) == key_id(
        key.public_key()
    )
    locked = private_pem(key, b"horse")
    assert load_private(locked, b"horse").private_bytes_raw() == key.private_bytes_raw()
    for passphrase in (None, b"wrong"):
        with pytest.raises(UsageError):
            load_private(locked, passphrase)
    assert key_id(load_public(public_pem(key.public_key()))) == key_id(key.public_key())


def test_signing_twice_with_one_key_is_one_signature() -> None:
    envelope = Envelope("x", b"y").signed_by(OLD).signed_by(NEW).signed_by(OLD)
    assert len(envelope.signatures) == 2
    again = parse_envelope(envelope.text(), "x")
    ids = {key_id(OLD.public_key()), key_id(NEW.public_key())}
    assert set(again.valid_signers(ids)) == ids
    with pytest.raises(EnvelopeError):
        parse_envelope(envelope.text(), "z")


def test_the_covered_bytes_are_those_of_dsse() -> None:
    """The example of the specification: protocol.md, "Test vectors"."""
    key = Ed25519PrivateKey.generate()
    envelope = Envelope("http://example.com/HelloWorld", b"hello world").signed_by(key)
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    key.public_key().verify(envelope.signatures[0][1], expected)


def test_a_key_has_one_spelling_of_its_id() -> None:
    key = new_key()
    sha256 = fingerprint(b"content")
    mine = key_id(key.public_key())
    signature = sign_file(b"content", key)
    assert signers_of(sha256, signature.encode()) == (mine,)
    letter = next(character for character in mine if character.isalpha())
    other = mine.replace(letter, letter.upper(), 1)
    assert signers_of(sha256, signature.replace(mine, other).encode()) == ()
    assert signers_of(sha256, signature.replace(mine, f" {mine}").encode()) == ()
