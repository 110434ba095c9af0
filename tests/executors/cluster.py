"""A Ray cluster for tests, with a token and certificates of its own."""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from hivekeep.swarm.executors import ClusterSettings

_ATTEMPTS = 3
_DAY = datetime.timedelta(days=1)


class LocalCluster:
    """A head and two nodes; ``kill_node`` takes one of the two away."""

    def __init__(self, folder: Path) -> None:
        make_certificates(folder)
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self._settings = ClusterSettings(
            "unknown:1", str(token), *(str(folder / n) for n in ("ca.pem", "node.pem", "node.key"))
        )
        # Ray gives a node 30 seconds to start, which a busy machine may not have.
        for attempt in range(_ATTEMPTS):
            self._process = self._start(folder / f"cluster-{attempt}.log")
            try:
                said = self._hear("up ")
            except AssertionError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
        self.settings = ClusterSettings(
            said.split()[1], self._settings.token_file, self._settings.ca,
            self._settings.certificate, self._settings.key,
        )  # fmt: skip

    def _start(self, log: Path) -> subprocess.Popen[str]:
        with log.open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("cluster_process.py"))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env=self._settings.environment(), start_new_session=True,
            )  # fmt: skip

    def kill_node(self) -> None:
        """Without warning, as a power cut does."""
        assert self._process.stdin is not None
        self._process.stdin.write("kill\n")
        self._process.stdin.flush()
        self._hear("killed")

    def close(self) -> None:
        """End every process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _hear(self, wanted: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(wanted):
                return line
        status = self._process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        raise AssertionError(f"the cluster ended with {status}")


def make_certificates(folder: Path) -> None:
    """``ca.pem``, ``node.pem`` and ``node.key`` for every address of this machine."""
    authority, own = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    addresses = {"127.0.0.1", own_address()}
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    names += [x509.IPAddress(ipaddress.ip_address(each)) for each in sorted(addresses)]
    ca = _certificate("ca", "ca", authority, authority, x509.BasicConstraints(True, None))
    node = _certificate("node", "ca", own, authority, x509.SubjectAlternativeName(names))
    (folder / "ca.pem").write_bytes(ca)
    (folder / "node.pem").write_bytes(node)
    (folder / "node.key").write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def own_address() -> str:
    """The address that Ray takes for this machine's; nothing is sent to find it out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("8.8.8.8", 80))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _certificate(
    subject: str,
    issuer: str,
    key: rsa.RSAPrivateKey,
    signer: rsa.RSAPrivateKey,
    extension: x509.ExtensionType,
) -> bytes:
    now = datetime.datetime.now(datetime.UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    made = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(signer, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
