"""Every reader of policy under a fuzzer that is guided by coverage, for a given time.

Policy files, property lists, signed bundles and files of test cases are each given damaged inputs.
Each must end in a policy or in the one documented error; a bundle must never say anything that was
not signed, and what a rightly signed one says is damaged too.  Prints what was tried and ends with
one line of JSON.  Run: ``make bench-env`` once, then ``make bench
NAME=fuzz_policy``.
"""

from __future__ import annotations

import plistlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.fuzzing import Targets, report_all
from hivekeep.domain.errors import PolicyInvalidError, UsageError
from hivekeep.policy.asking import action_of, parse_cases
from hivekeep.policy.bundle import (
    Bundle,
    BundlePayload,
    Remembered,
    RotationPayload,
    build_bundle,
    build_rotation,
    parse_bundle,
    verify_bundle,
)
from hivekeep.policy.detached import sign_file, signers_of
from hivekeep.policy.generated.example import MANAGED
from hivekeep.policy.layers import Level, parse_text
from hivekeep.policy.paths import components
from hivekeep.policy.policy import policy_of
from hivekeep.policy.preferences import parse_preferences
from hivekeep.policy.signing import (
    EnvelopeError,
    fingerprint,
    key_id,
    load_public,
    new_key,
    public_pem,
)
from hivekeep.policy.windows_paths import is_windows

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SAMPLES = Path(__file__).resolve().parents[1] / "policies" / "samples"
KEY = new_key()
PAYLOAD = BundlePayload(name="x", version=3, expires=NOW + timedelta(days=1), mandatory=MANAGED)
ROTATION = RotationPayload(sequence=1, keys=(key_id(new_key().public_key()),))
BUNDLE = Bundle(build_bundle(PAYLOAD).signed_by(KEY)).text().encode()


def policy_file(raw: bytes) -> None:
    """A JSON file."""
    policy_of([parse_text(raw, Level.MANDATORY, "fuzz")])


def property_list(raw: bytes) -> None:
    """A macOS property list, in either form."""
    policy_of(parse_preferences(raw, "fuzz"))


def bundle(raw: bytes) -> None:
    """A signed bundle; what is taken must be what was signed."""
    pinned = (key_id(KEY.public_key()),)
    verify_bundle(raw, source="fuzz", pinned=pinned, remembered=Remembered(), now=NOW)
    if parse_bundle(raw).envelope.payload != parse_bundle(BUNDLE).envelope.payload:
        raise AssertionError("a bundle was taken that nobody signed")


def signed_bundle(raw: bytes) -> None:
    """What a bundle says, rightly signed: the key's owner is believed, but never crashes us."""
    signed = Bundle(replace(build_bundle(PAYLOAD), payload=raw, signatures=()).signed_by(KEY))
    pinned = (key_id(KEY.public_key()),)
    verify_bundle(
        signed.text().encode(), source="fuzz", pinned=pinned, remembered=Remembered(), now=NOW
    )


def rotation(raw: bytes) -> None:
    """A rotation of keys, rightly signed, in a bundle that only the old key has signed."""
    signed = replace(build_rotation(ROTATION), payload=raw, signatures=()).signed_by(KEY)
    packed = Bundle(build_bundle(PAYLOAD).signed_by(KEY), (signed,))
    pinned = (key_id(KEY.public_key()),)
    verify_bundle(
        packed.text().encode(), source="fuzz", pinned=pinned, remembered=Remembered(), now=NOW
    )


def detached(raw: bytes) -> None:
    """A signature beside a file; only the one that was made is one."""
    found = signers_of(fingerprint(b"content"), raw)
    if found not in ((), (key_id(KEY.public_key()),)):
        raise AssertionError("somebody signed who has no key")


def public_key(raw: bytes) -> None:
    """A pinned key's file."""
    with suppress(EnvelopeError):
        load_public(raw)


def folder(raw: bytes) -> None:
    """A folder of a rule; what is taken has one spelling, which means the same."""
    text = raw.decode("utf-8", "replace")
    parts = components(text)
    if parts is not None and is_windows(text):
        again = "\\".join(parts) if len(parts) > 1 else f"{parts[0]}\\"
        if components(again) != parts:
            raise AssertionError(f"{text!r} and {again!r} differ")


def cases(raw: bytes) -> None:
    """A file of test cases."""
    for case in parse_cases(raw.decode("utf-8", "replace"), "fuzz").cases:
        action_of(case.action)


TARGETS: Targets = {
    "policy_file": (policy_file, [path.read_bytes() for path in SAMPLES.glob("*.json")]),
    "property_list": (
        property_list,
        [plistlib.dumps(MANAGED), plistlib.dumps(MANAGED, fmt=plistlib.FMT_BINARY)],
    ),
    "bundle": (bundle, [BUNDLE]),
    "signed_bundle": (signed_bundle, [build_bundle(PAYLOAD).payload]),
    "rotation": (rotation, [build_rotation(ROTATION).payload]),
    "detached": (detached, [sign_file(b"content", KEY).encode()]),
    "public_key": (public_key, [public_pem(KEY.public_key()), key_id(KEY.public_key()).encode()]),
    "folder": (folder, [b"C:\\Data\\Sales", b"\\\\files\\team\\a", b"\\\\?\\UNC\\files\\team"]),
    "cases": (cases, [path.read_bytes() for path in SAMPLES.glob("*.cases.yaml")]),
}
EXPECTED = (PolicyInvalidError, UsageError)


if __name__ == "__main__":
    report_all("fuzz_policy", TARGETS, ["hivekeep.policy", "plistlib"], __doc__)
