"""A verifier of whole logs made from docs/audit-format.md alone, section "What a verifier checks".

It imports nothing of ours, on purpose, and names a problem in a few words by the number of the
check that failed, so that it can be compared with ours.
"""

from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from hmac import digest as hmac_digest
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"HKAUD2\n\0"
EVENT, NOTE, CHECKPOINT = 1, 2, 3


class WrongError(Exception):
    """A check failed."""


def h(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def require(holds: bool, what: str) -> None:
    if not holds:
        raise WrongError(what)


class Tree:
    """RFC 9162, 2.1: complete subtrees of what was appended, largest first."""

    def __init__(self) -> None:
        self.size, self.subtrees = 0, list[bytes]()

    def append(self, leaf: bytes) -> None:
        size = self.size
        while size % 2:
            leaf, size = h(b"\1", self.subtrees.pop(), leaf), size // 2
        self.subtrees.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        root = self.subtrees[-1]
        for left in self.subtrees[-2::-1]:
            root = h(b"\1", left, root)
        return root


def signed_by(keys: Sequence[bytes], signature: bytes, text: str) -> bool:
    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, text.encode())
        except InvalidSignature:
            continue
        return True
    return False


def frames(data: bytes) -> list[tuple[bytes, bytes, int]]:
    """Body, chain value and end of each frame; stops where no frame can be told any more."""
    require(data[:8] == MAGIC, "1 magic")
    found, at = list[tuple[bytes, bytes, int]](), 8
    while len(data) - at >= 4:
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 4 + length
        if not 41 <= length <= 1 << 20 or end > len(data):
            break
        found.append((data[at + 4 : end - 32], data[end - 32 : end], end))
        at = end
    return found


class Verifier:
    """One pass over a log's folder.

    :param owner: the owner's key, if content is to be checked.
    """

    def __init__(self, folder: Path, owner: bytes | None = None) -> None:
        self.folder, self.owner = folder, owner
        self.tree, self.chain = Tree(), bytes(32)
        self.origin, self.log = "", b""
        self.epoch, self.keys = 0, list[bytes]()
        self.successor: tuple[int, bytes] | None = None
        self.roots: dict[int, bytes] = {}
        self.key_files: dict[int, str | None] = {}
        self.acknowledged = 0
        self.contents: dict[int, dict[str, Any]] = {}
        self._content: tuple[AESGCM, bytes, bytes] | None = None

    def run(self, kept: Sequence[str] = (), trusted: bytes | None = None) -> int:
        """Check everything; the number of leaves that were acknowledged.

        :param kept: checkpoints that were kept elsewhere.
        :param trusted: a public key got from elsewhere.
        """
        paths = sorted(self.folder.glob("segment-*.log"))
        require(bool(paths), "2 no segment")
        for number, path in enumerate(paths, start=1):
            require(path.name == f"segment-{number:08d}.log", "2 a segment is missing")
            self.segment(number, path.read_bytes(), last=path == paths[-1])
        require(trusted is None or trusted in self.keys, "4 the key is not among the log's")
        for note in [(self.folder / "head").read_text(encoding="utf-8", errors="replace"), *kept]:
            self.outside(note)
        for number, expected in self.key_files.items():
            file = self.folder / "keys" / f"{number:08d}.json"
            found = sha256(file.read_bytes()).hexdigest() if file.exists() else None
            require(found == expected, f"6 key file {number}")
        return self.acknowledged

    def segment(self, number: int, data: bytes, *, last: bool) -> None:
        parsed = frames(data)
        checkpoints = [at for at, (body, _, _) in enumerate(parsed) if body[0] == CHECKPOINT]
        require(bool(checkpoints), "3 no checkpoint")
        if last:
            # What follows was never acknowledged: it is not looked at.
            parsed = parsed[: checkpoints[-1] + 1]
        else:
            end = parsed[-1][2]
            require(checkpoints[-1] == len(parsed) - 1, "2 a segment ends without a checkpoint")
            require(not data[end:].strip(b"\0"), "1 something follows a segment")
        for place, (body, stored, _) in enumerate(parsed):
            kind, index = struct.unpack_from(">BQ", body)
            require((kind == NOTE) if place == 0 else True, "2 a segment begins with its note")
            require((kind == CHECKPOINT) if place == 1 else True, "2 then with a checkpoint")
            require(index == self.tree.size, "1 index")
            if kind == CHECKPOINT:
                self.checkpoint(body)
            elif kind in (EVENT, NOTE):
                self.entry(kind, index, body, number if place == 0 else 0)
            else:
                raise WrongError("1 unknown kind")
            require(stored == self.chain, "1 chain value")

    def entry(self, kind: int, index: int, body: bytes, begins: int) -> None:
        if kind == EVENT:
            leaf = h(b"\0", body[:9], self.chain, body[9:41], h(body[41:]))
            self.content(index, body[9:])
        else:
            leaf = h(b"\0", body[:9], self.chain, h(body[9:]))
            said = json.loads(body[9:])
            if begins:
                self.begin(begins, said)
            else:
                self.note(said)
        self.tree.append(leaf)
        self.roots[self.tree.size] = self.tree.root()
        self.chain = h(b"\2", self.chain, leaf)

    def begin(self, number: int, said: Mapping[str, Any]) -> None:
        require((said["type"], said["format"]) == ("segment", "hivekeep-audit/2"), "2 note")
        key = b64decode(said["public_key"])
        if number == 1:
            self.keys, self.origin, self.log = [key], said["origin"], bytes.fromhex(said["log"])
            require(self.origin == f"hivekeep/{said['log']}", "2 origin")
        claims = (said["segment"], said["first"], said["chain"], said["epoch"], key)
        actual = (number, self.tree.size, self.chain.hex(), self.epoch, self.keys[-1])
        require(claims == actual, "2 the segment does not continue the one before")
        require(said["frontier"] == [x.hex() for x in self.tree.subtrees], "2 frontier")
        require((said["origin"], said["log"]) == (self.origin, self.log.hex()), "2 another log")
        self.key_files[number] = said["key_file"]
        self._content = self.content_key(number, said) if self.owner else None

    def note(self, said: Mapping[str, Any]) -> None:
        if said["type"] == "epoch":
            lines = ["hivekeep audit key", self.origin, str(said["epoch"]), said["public_key"]]
            text = "".join(f"{line}\n" for line in lines)
            require(said["epoch"] == self.epoch + 1, "3 epoch")
            signature = b64decode(said["signature"])
            require(signed_by(self.keys[-1:], signature, text), "3 certificate")
            self.successor = (said["epoch"], b64decode(said["public_key"]))
        elif said["type"] == "keys":
            self.key_files |= {int(number): digest for number, digest in said["files"].items()}
        elif said["type"] == "shredded":
            self.key_files |= dict.fromkeys(said["segments"])

    def checkpoint(self, body: bytes) -> None:
        require(len(body) == 109, "1 size of a checkpoint")
        epoch, root, signature = struct.unpack_from(">I32s64s", body, 9)
        require((epoch, root) == (self.epoch, self.tree.root()), "3 the tree is another")
        text = f"{self.origin}\n{self.tree.size}\n{b64encode(root).decode()}\n"
        require(signed_by(self.keys[-1:], signature, text), "3 signature")
        self.chain = h(b"\3", self.chain, body)
        self.acknowledged = self.tree.size
        if self.successor:
            self.epoch, key = self.successor
            self.keys.append(key)
            self.successor = None

    def outside(self, note: str) -> None:
        text, _, lines = note.partition("\n\n")
        origin, size, root = text.split("\n")
        require(origin == self.origin, "5 of another log")
        require(int(size) <= self.acknowledged, "5 the log was longer")
        ours = dict[bytes, bytes]()
        for key in self.keys:
            ours[h(self.origin.encode(), b"\n\1", key)[:4]] = key
        signed = False
        for line in lines.splitlines():
            dash, name, encoded = line.split(" ")
            raw = b64decode(encoded, validate=True)
            key = ours.get(raw[:4], b"")
            if (dash, name) == ("\N{EM DASH}", origin) and key:
                signed = signed or signed_by([key], raw[4:], f"{text}\n")
        require(signed, "5 not signed by the log")
        require(b64decode(root, validate=True) == self.roots.get(int(size)), "5 other records")

    def content_key(
        self, number: int, said: Mapping[str, Any]
    ) -> tuple[AESGCM, bytes, bytes] | None:
        file = self.folder / "keys" / f"{number:08d}.json"
        if self.owner is None or not file.exists():
            return None  # destroyed, or check 6 says that it is missing
        place = self.log + number.to_bytes(8, "big")
        for wrap in json.loads(file.read_bytes())["wraps"]:
            if wrap["to"] != "owner" or wrap["key"] != owner_name(self.owner):
                continue
            raw = b64decode(wrap["wrapped"])
            context = b"hivekeep audit segment key\n" + place
            try:
                key = AESGCM(self.owner).decrypt(raw[:12], raw[12:], context)
            except InvalidTag:
                break
            committed = h(b"hivekeep audit key commitment\n", key).hex()
            require(committed == said["key_commitment"], "7 another key")
            cipher = AESGCM(derived(key, place, b"hivekeep audit records"))
            return cipher, derived(key, place, b"hivekeep audit commitments"), place
        raise WrongError("7 no key for this reader")

    def content(self, index: int, stored: bytes) -> None:
        if self._content is None:
            return
        cipher, blinding, place = self._content
        nonce, bound = stored[32:44], place + index.to_bytes(8, "big") + self.chain
        try:
            content = cipher.decrypt(nonce, stored[44:], bound)
        except InvalidTag as error:
            raise WrongError("7 content") from error
        opening = hmac_digest(blinding, nonce, "sha256")
        require(h(b"hivekeep audit commitment\n", opening, content) == stored[:32], "7 commitment")
        self.contents[index] = json.loads(content)


def owner_name(owner: bytes) -> str:
    return h(b"hivekeep audit owner key\n", owner).hex()[:16]


def derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)
