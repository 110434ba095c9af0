"""The pages as files: no markup from strings, no network, the same words in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hivekeep_ui.client import DaemonClient
from hivekeep_ui.relay import PAGES, POLICY, Relay, Request
from hivekeep_ui.verbs import DesktopVerbs, file_name

FILES = [path for path in PAGES.rglob("*") if path.suffix in (".js", ".html", ".css")]
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|"
    r"createContextualFragment|srcdoc"
)
STRING = re.compile(r'^  "([^"]+)": "((?:[^"\\]|\\.)*)",$', re.MULTILINE)


@pytest.fixture
def relay(tmp_path: Path) -> Relay:
    daemon = DaemonClient(str(tmp_path / "nobody.sock"))
    return Relay(daemon, DesktopVerbs(daemon, tmp_path).table())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_page_makes_markup_or_reaches_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not MARKUP.search(text)
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", text)


def test_both_languages_have_every_word_that_is_used() -> None:
    tables = {
        path.stem: dict(STRING.findall(path.read_text(encoding="utf-8")))
        for path in (PAGES / "js" / "strings").glob("*.js")
    }
    english, chinese = tables["en"], tables["zh-CN"]
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[key])), key
    used = {
        key
        for path in (PAGES / "js").rglob("*.js")
        for key in re.findall(r'\bt\("([^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert used
    assert used <= english.keys()


@pytest.mark.parametrize(
    "target",
    ["/", "/index.html", "/js/main.js", "/../client.py", "/%2e%2e/client.py", "/v1/status",
     "/ui/nothing", "/js", "/js/../../relay.py", "//etc/passwd"],
)  # fmt: skip
def test_every_reply_carries_the_policy_and_only_pages_are_served(
    relay: Relay, target: str
) -> None:
    reply = relay.handle(Request("GET", target))
    assert reply.headers["Content-Security-Policy"] == POLICY
    assert reply.headers["X-Status"] == str(reply.status)
    assert (reply.status == 200) is (target in ("/", "/index.html", "/js/main.js"))
    assert b"import" not in reply.body or target == "/js/main.js"


def test_the_policy_allows_nothing_from_elsewhere() -> None:
    rules = dict(part.split(" ", 1) for part in POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert "unsafe" not in POLICY
    assert rules["require-trusted-types-for"] == "'script'"


def test_an_upload_gets_a_folder_of_its_own_and_a_harmless_name(
    relay: Relay, tmp_path: Path
) -> None:
    paths: set[Path] = set()
    for _ in range(2):
        target = "/ui/upload?name=..%2F..%2Fetc%2Fpa%0Asswd.pdf"
        reply = relay.handle(Request("PUT", target, b"%PDF-1.7"))
        assert reply.status == 200
        (path,) = set((tmp_path / "inbox").rglob("passwd.pdf")) - paths
        assert path.read_bytes() == b"%PDF-1.7"
        paths.add(path)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a.pdf", "a.pdf"), ("../x", "x"), ("C:\\y\\z.txt", "z.txt"), ("...", "document"),
     ("", "document"), ("a\u202efdp.exe", "afdp.exe")],
)  # fmt: skip
def test_file_names_are_kept_harmless(given: str, kept: str) -> None:
    assert file_name(given) == kept


def test_nothing_but_a_result_is_opened(relay: Relay) -> None:
    reply = relay.handle(Request("POST", "/ui/open", b'{"path": "/etc/passwd", "run": "r"}'))
    assert reply.status == 503  # the daemon, which would have to list it, does not answer
