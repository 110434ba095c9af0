"""The window in Chinese: what the daemon says of actions, risks and errors is Chinese too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stage import Stage, started, wait_for
from tests.e2e.test_approvals import ask, pending
from tests.e2e.test_desktop import Browser
from tests.e2e.window import require_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    policy = {"approvals": {"required_from": "low"}}
    settings = {"language": "zh-CN", "welcomed": True, "popup": False}
    with started(tmp_path_factory.mktemp("chinese"), policy=policy, interface=settings) as chosen:
        yield chosen


def test_a_question_is_asked_in_chinese_also_after_a_restart(
    browser: Browser, stage: Stage, tmp_path: Path
) -> None:
    folder = tmp_path / "收件 <b>箱</b>".replace("/", "∕")
    asked, item = ask(stage, folder)
    assert item["said"]["summary"]["id"] == "do.watch_folder"
    for _ in range(2):
        browser.open("popup.html")
        browser.wait("#what", f'监视文件夹 "{folder}"')
        shown = browser.page.locator("main").inner_text()
        assert "策略要求让人知晓此事。" in shown
        assert "其风险为低，需要有人同意。" in shown
        assert f'监视文件夹："{folder.parent}"' in shown
        assert browser.page.locator("main b").count() == 0
        require_accessible(browser, "popup")
        # The answer ends with the daemon; the question does not.
        stage.kill()
        stage.start()
        wait_for(lambda: stage.client.get("/v1/approvals")["approvals"] != [], 60, "it is lost")
    asked.join(60)
    (left,) = pending(stage)
    assert left["said"] == item["said"]
    stage.cli("approvals", "deny", left["id"])
    browser.open("index.html#approvals")
    browser.wait("main", "监视文件夹")
    require_accessible(browser, "approvals")


def test_errors_are_explained_in_chinese(browser: Browser, tmp_path: Path) -> None:
    browser.open("index.html#run/nothing")
    browser.wait("[role=alert]", "没有运行 “nothing”。")
    browser.open("index.html#ask")
    page = browser.page
    page.get_by_label("您的请求").fill("哪张发票金额最大？")
    page.get_by_label("或输入文件或文件夹的路径").fill("/没有/这里")
    page.get_by_role("button", name="添加").click()
    page.get_by_role("button", name="制定计划").click()
    browser.wait("[role=alert]", "没有文件或文件夹 “/没有/这里”。")
    browser.wait("[role=alert]", "请检查路径；没有开始任何操作。")
    require_accessible(browser, "ask")
    for view in ("folders", "models", "recipes"):
        browser.open(f"index.html#{view}")
        require_accessible(browser, view)


def test_what_has_no_translation_is_shown_in_english(browser: Browser) -> None:
    browser.open("index.html#home")
    script = """async () => {
      const { spoken, explained } = await import("/js/said.js");
      return [
        spoken("As it is.", undefined),
        spoken("New here.", { text: "New here.", id: "not.known", values: {} }),
        spoken("x", { text: "x", id: "error.no_run", values: { run: "{count}" } }),
        explained({ what: "W", why: "Y", next: "N",
          said: { why: { text: "Y", id: "why.unanswered", values: {} } } }).why,
        explained({ reason: "encrypted", what: "W", next_step: "N" }).what,
      ];
    }"""
    assert browser.page.evaluate(script) == [
        "As it is.", "New here.", "没有运行 “{count}”。", "逾期未答复即视为拒绝。", "文件已加密。",
    ]  # fmt: skip
