"""Takes the pictures of the popup for ``docs/images``: a real daemon, model and question, Chromium.

The sample invoices are copied to ``--home`` as somebody's own, so that the paths in the pictures
are those of a user.  Run as ``python -m tools.make_pictures --home /home/ana``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from tests.e2e.desktop import interface
from tests.e2e.stage import started, wait_for

ROOT = Path(__file__).resolve().parent.parent
SERVICE = ROOT / "service" / "hivekeep"
IMAGES = ROOT / "docs" / "images"
NAMES = ("rechnung-2026-0417.pdf", "invoice-harbour-lights.pdf", "invoice-with-instructions.pdf")
WIDTH, HEIGHT = 560, 800
PICTURES = {"popup.png": "en", "popup-zh.png": "zh-CN"}


def recipe(home: Path) -> str:
    """The built-in recipe for invoices, which then files each one by its seller."""
    text = (SERVICE / "recipes" / "builtin" / "invoices.yaml").read_text(encoding="utf-8")
    text = text.replace("name: invoices\ntitle: Invoices", "name: filing\ntitle: File by seller", 1)
    return f"{text}file_action:\n  kind: copy\n  root: {home / 'Sorted'}\n  folder_field: seller\n"


def main() -> None:
    """Process, wait for the questions, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="an empty folder that is made")
    home = parser.parse_args().home
    inbox = home / "Invoices"
    inbox.mkdir(parents=True)
    paths = [Path(shutil.copy2(SERVICE / "samples" / "invoices" / name, inbox)) for name in NAMES]
    policy = {
        "file_actions": {"allow_copy": True, "target_folders": [str(home / "Sorted")]},
        "labels": {"untrusted_actions": ["copy_file"]},
        "approvals": {"required_from": "medium"},
    }
    folder = Path(tempfile.mkdtemp(prefix="hivekeep-pictures-"))
    try:
        with started(folder, policy=policy, recipes={"filing": recipe(home)}) as stage:
            body = {"recipe": "filing", "paths": [str(path) for path in paths]}
            stage.client.post("/v1/runs", body)
            wait_for(
                lambda: len(stage.client.get("/v1/approvals")["approvals"]) == len(paths), 200,
                "the questions do not come",
            )  # fmt: skip
            for name, language in PICTURES.items():
                settings = {"language": language, "popup": False, "welcomed": True}
                (stage.profile.root / "ui.json").write_text(json.dumps(settings))
                process = interface(stage, "serve")
                assert process.stdout is not None
                address = process.stdout.readline().strip()
                with sync_playwright() as playwright:
                    chromium = playwright.chromium.launch(
                        executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                    )
                    page = chromium.new_context(
                        viewport={"width": WIDTH, "height": HEIGHT},
                        device_scale_factor=1.4,
                        locale=language,
                    ).new_page()
                    page.goto(address)
                    page.goto(f"{address.split('/?')[0]}/popup.html")
                    page.locator("button[data-answer=once]:not([aria-disabled])").wait_for()
                    page.screenshot(path=IMAGES / name)
                    chromium.close()
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(home)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
