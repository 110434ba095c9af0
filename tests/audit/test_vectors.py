"""A second verifier, written from docs/audit-format.md alone, on the vectors that lie beside it.

It imports nothing of ours, on purpose: if it fails, either the page or the program is wrong.
"""

from __future__ import annotations

import hmac
import json
import struct
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VECTORS = Path(__file__).parent / "vectors"
LOG = VECTORS / "log"
EXPECTED: dict[str, Any] = json.loads((VECTORS / "expected.json").read_text())


def h(data: bytes) -> bytes:
    return sha256(data).digest()


def mth(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return h(b"\1" + mth(leaves[:k]) + mth(leaves[k:]))


def verify(public: bytes, signature: bytes, text: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(public).verify(signature, text)


def content_key(number: int, note: dict[str, Any], *, administrator: bool) -> bytes:
    said = json.loads((LOG / "keys" / f"{number:08d}.json").read_bytes())
    context = (
        b"hivekeep audit segment key\n" + bytes.fromhex(said["log"]) + struct.pack(">Q", number)
    )
    wraps = {entry["to"]: entry for entry in said["wraps"]}
    if administrator:
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(EXPECTED["administrator_key"]))
        entry = wraps["administrator"]
        assert b64decode(entry["key"]) == private.public_key().public_bytes_raw()
        suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
        key = suite.decrypt(b64decode(entry["wrapped"]), private, info=context)
    else:
        owner = bytes.fromhex(EXPECTED["owner_key"])
        entry = wraps["owner"]
        assert entry["key"] == h(b"hivekeep audit owner key\n" + owner).hex()[:16]
        raw = b64decode(entry["wrapped"])
        key = AESGCM(owner).decrypt(raw[:12], raw[12:], context)
    assert h(b"hivekeep audit key commitment\n" + key).hex() == note["key_commitment"]
    return key


class Segment:
    """The keys of one segment's content."""

    def __init__(self, note: dict[str, Any], key: bytes) -> None:
        self.place = bytes.fromhex(note["log"]) + struct.pack(">Q", note["segment"])
        self.record_key = self.derive(key, b"hivekeep audit records")
        self.blinding = self.derive(key, b"hivekeep audit commitments")

    def derive(self, key: bytes, info: bytes) -> bytes:
        return HKDF(hashes.SHA256(), 32, self.place, info).derive(key)

    def open(self, index: int, before: bytes, stored: bytes) -> bytes:
        commitment, nonce, ciphertext = stored[:32], stored[32:44], stored[44:]
        bound = self.place + struct.pack(">Q", index) + before
        content = AESGCM(self.record_key).decrypt(nonce, ciphertext, bound)
        opening = hmac.digest(self.blinding, nonce, "sha256")
        assert h(b"hivekeep audit commitment\n" + opening + content) == commitment
        return content


def walk(*, administrator: bool) -> tuple[list[bytes], list[dict[str, Any]], list[dict[str, Any]]]:
    """All leaves, events and notes of the log, every check of the page made on the way."""
    leaves: list[bytes] = []
    events: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    chain, pending, epoch, public, origin = bytes(32), None, 0, b"", ""
    for number, path in enumerate(sorted(LOG.glob("segment-*.log")), start=1):
        data = path.read_bytes()
        assert data[:8] == b"HKAUD2\n\0"
        at, segment, kind = 8, None, 0
        while at < len(data) and data[at:].strip(b"\0"):
            (length,) = struct.unpack_from(">I", data, at)
            at += 4 + length
            body, stored = data[at - length : at - 32], data[at - 32 : at]
            kind, index = struct.unpack_from(">BQ", body)
            if kind == 3:
                used, root, signature = struct.unpack_from(">I32s64s", body, 9)
                assert (index, used, root) == (len(leaves), epoch, mth(leaves))
                text = f"{origin}\n{index}\n{b64(root)}\n".encode()
                verify(public, signature, text)
                chain = h(b"\3" + chain + body)
                if pending:
                    epoch, public, pending = pending[0], pending[1], None
            else:
                assert index == len(leaves)
                if segment is None:
                    note = json.loads(body[9:])
                    assert (note["type"], note["segment"]) == ("segment", number)
                    assert (note["first"], note["chain"]) == (index, chain.hex())
                    public = public or b64decode(note["public_key"])
                    assert (note["epoch"], b64decode(note["public_key"])) == (epoch, public)
                    origin = note["origin"]
                    key = content_key(number, note, administrator=administrator)
                    segment = Segment(note, key)
                rest = body[9:] if kind == 2 else body[41:]
                shown = b"" if kind == 2 else body[9:41]
                leaf = h(b"\0" + body[:9] + chain + shown + h(rest))
                if kind == 1:
                    events.append(json.loads(segment.open(index, chain, body[9:])))
                else:
                    notes.append(json.loads(body[9:]))
                    if notes[-1]["type"] == "epoch":
                        said = notes[-1]
                        lines = ["hivekeep audit key", origin, str(epoch + 1), said["public_key"]]
                        text = "".join(f"{line}\n" for line in lines).encode()
                        verify(public, b64decode(said["signature"]), text)
                        pending = (said["epoch"], b64decode(said["public_key"]))
                leaves.append(leaf)
                chain = h(b"\2" + chain + leaf)
            assert stored == chain
        assert kind == 3
    return leaves, events, notes


def b64(raw: bytes) -> str:
    return b64encode(raw).decode()


def test_the_log_can_be_verified_and_read_from_the_page_alone() -> None:
    for administrator in (False, True):
        leaves, events, notes = walk(administrator=administrator)
        expected = [
            {name: value for name, value in said.items() if name != "sequence"}
            for said in EXPECTED["records"]
        ]
        found = [{k: v for k, v in event.items() if k != "mono"} for event in events]
        assert found == expected
        assert [note["type"] for note in notes].count("segment") == 3
        assert [note["type"] for note in notes].count("epoch") == 1
        head = (LOG / "head").read_text().split("\n")
        assert (int(head[1]), head[2]) == (len(leaves), b64(mth(leaves)))


def test_key_files_are_those_that_the_notes_name() -> None:
    _, _, notes = walk(administrator=False)
    named: dict[str, str] = {}
    for note in notes:
        if note["type"] == "segment":
            named[str(note["segment"])] = note["key_file"]
        elif note["type"] == "keys":
            named |= note["files"]
    for number, digest in named.items():
        raw = (LOG / "keys" / f"{int(number):08d}.json").read_bytes()
        assert sha256(raw).hexdigest() == digest


def test_the_proof_can_be_checked_from_the_page_alone() -> None:
    bundle = json.loads((VECTORS / "proof.json").read_text())
    leaves, _, _ = walk(administrator=False)
    leaf = b64decode(bundle["leaf"])
    record = bundle["record"]
    assert h(b"\0" + leaf) == leaves[record]
    assert int.from_bytes(leaf[1:9], "big") == record
    content, opening = b64decode(bundle["content"]), b64decode(bundle["opening"])
    assert h(b"hivekeep audit commitment\n" + opening + content) == leaf[41:73]
    # RFC 9162, 2.1.3.2.
    size = int(bundle["checkpoint"].split("\n")[1])
    first, last, result = record, size - 1, leaves[record]
    for sibling in map(b64decode, bundle["inclusion"]):
        if first & 1 or first == last:
            result = h(b"\1" + sibling + result)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            result = h(b"\1" + result + sibling)
        first, last = first >> 1, last >> 1
    assert b64(result) == bundle["checkpoint"].split("\n")[2]
    (certificate,) = bundle["certificates"]
    assert certificate["by"] == EXPECTED["first_key"]
    name, identifier, encoded = EXPECTED["first_key"].split("+", 2)
    public = b64decode(encoded)
    assert h(f"{name}\n".encode() + public)[:4].hex() == identifier
    text = f"hivekeep audit key\n{name}\n1\n{certificate['public_key']}\n".encode()
    verify(public[1:], b64decode(certificate["signature"]), text)
    lines = bundle["checkpoint"].split("\n")
    raw = b64decode(lines[4].split(" ")[2])
    signer = b64decode(certificate["public_key"])
    assert raw[:4] == h(f"{name}\n\1".encode() + signer)[:4]
    verify(signer, raw[4:], ("\n".join(lines[:3]) + "\n").encode())
