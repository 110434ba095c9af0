"""Build llama.cpp's ``llama-server`` and ``llama-batched-bench`` for benchmarks to compare with.

The source is the one that our engine is built from: ``vendor/llama.cpp`` in the locked source
package of llama-cpp-python, downloaded by pip with the hash that ``requirements.lock`` pins.  The
result lies in the user's cache, so it is built once; the last line printed is its folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hivekeep"
PLACE = CACHE / "llama.cpp-build"
TOOLS = ("llama-server", "llama-batched-bench")
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_TOOLS=ON", "-DLLAMA_BUILD_SERVER=ON",
)  # fmt: skip


def locked() -> tuple[str, str]:
    """The version of llama-cpp-python in the lock file, and the lines that pin it."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    match = re.search(r"^llama-cpp-python==(\S+)(?: \\\n\s+--hash=\S+)+", text, re.MULTILINE)
    if match is None:
        sys.exit("requirements.lock does not pin llama-cpp-python.")
    return match.group(1), match.group(0)


def tool(name: str) -> Path:
    """Where the built program ``name`` is, or will be."""
    return PLACE / f"build-{locked()[0]}" / "bin" / name


def fetch(version: str, pinned: str) -> Path:
    """The unpacked source package."""
    source = PLACE / f"llama_cpp_python-{version}"
    if (source / "vendor" / "llama.cpp" / "CMakeLists.txt").is_file():
        return source
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE) as scratch:
        folder = Path(scratch)
        venv.create(folder / "venv", with_pip=True)
        (folder / "pinned.txt").write_text(pinned, encoding="utf-8")
        subprocess.run(
            [folder / "venv" / "bin" / "python", "-m", "pip", "download", "-q", "--no-deps",
             "--no-binary", "llama-cpp-python", "--require-hashes", "-r", folder / "pinned.txt",
             "-d", folder], check=True,
        )  # fmt: skip
        with tarfile.open(next(folder.glob("llama_cpp_python-*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        shutil.rmtree(source, ignore_errors=True)
        (folder / source.name).rename(source)
    return source


def build(version: str, source: Path) -> None:
    """Compile both programs."""
    folder = PLACE / f"build-{version}"
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 2)
    generator = ("-G", "Ninja") if shutil.which("ninja") else ()
    subprocess.run(
        ["cmake", *generator, "-S", source / "vendor" / "llama.cpp", "-B", folder, *OPTIONS],
        check=True,
    )  # fmt: skip
    subprocess.run(["cmake", "--build", folder, "-j", jobs, "--target", *TOOLS], check=True)


def main() -> None:
    """Build what is missing and print where it is."""
    version, pinned = locked()
    if not all(tool(name).is_file() for name in TOOLS):
        print(f"Building {' and '.join(TOOLS)} once, about 10 minutes on 2 cores.", flush=True)
        build(version, fetch(version, pinned))
    print(tool(TOOLS[0]).parent)


if __name__ == "__main__":
    main()
