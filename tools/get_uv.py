"""Print the path of a usable ``uv``, fetching the pinned one if there is none.

Runs on a bare Python 3.11 without pip or venv.  The wheel is read as a zip and its SHA-256 must be
the one pinned here; nothing is installed outside ``.tools/``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urljoin

VERSION = "0.13.9"
OLDEST = (0, 8, 0)
INDEX = (
    os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL")
    or "https://pypi.org/simple"
)  # fmt: skip
WHEELS = {
    ("Linux", "x86_64"): "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    ("Linux", "aarch64"): "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ("Darwin", "x86_64"): "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
    ("Darwin", "arm64"): "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
}
TARGET = Path(__file__).resolve().parent.parent / ".tools" / f"uv-{VERSION}"


def usable(candidate: str) -> bool:
    """Whether ``candidate`` runs and is new enough to read the lock file."""
    try:
        printed = subprocess.run(
            [candidate, "--version"], capture_output=True, text=True, check=True
        ).stdout
        return tuple(int(part) for part in printed.split()[1].split(".")) >= OLDEST
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return False


def fetch() -> None:
    """Download, check and unpack the pinned wheel."""
    machine = (platform.system(), platform.machine())
    digest = WHEELS.get(machine)
    if digest is None:
        sys.exit(f"There is no pinned uv for {machine}; install uv and put it on PATH.")
    page = INDEX.rstrip("/") + "/uv/"
    request = urllib.request.Request(
        page, headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        files = json.load(reply)["files"]
    address = next(urljoin(page, f["url"]) for f in files if f["hashes"].get("sha256") == digest)
    with urllib.request.urlopen(address, timeout=600) as reply:
        data = reply.read()
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit("The downloaded uv does not have the pinned SHA-256; nothing was kept.")
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith("scripts/uv"))
        content = wheel.read(member)
    TARGET.parent.mkdir(exist_ok=True)
    temporary = TARGET.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.chmod(temporary.stat().st_mode | stat.S_IXUSR)
    temporary.replace(TARGET)


def main() -> None:
    """Print the path."""
    found = shutil.which("uv")
    if found and usable(found):
        print(found)
        return
    if not usable(str(TARGET)):
        fetch()
    print(TARGET)


if __name__ == "__main__":
    main()
