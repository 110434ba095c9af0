"""The tray's words in English and Simplified Chinese.

Responsible for text only; the pages have theirs in ``pages/js/strings``.  Invariant: both languages
have the same keys (a test compares them).
"""

from __future__ import annotations

import locale
import os
from collections.abc import Callable

ENGLISH = {
    "menu.approvals": "Approvals ({count})",
    "menu.ask": "Ask…",
    "menu.clipboard": "Process clipboard",
    "menu.dashboard": "Dashboard",
    "menu.drop_folder": "Drop folder",
    "menu.files": "Process files…",
    "menu.folder": "Open folder",
    "menu.look": "Show values",
    "menu.no_folders": "No folder is watched",
    "menu.no_results": "No results yet",
    "menu.open": "Open {name}",
    "menu.pause": "Pause for",
    "menu.policy": "Policy status",
    "menu.problem": "Problem: {text}",
    "menu.quit": "Quit",
    "menu.recent": "Recent results",
    "menu.resume": "End the pause",
    "menu.run_now": "Run now",
    "menu.screenshot": "Process screenshot",
    "menu.settings": "Settings",
    "menu.start": "Start Hivekeep",
    "notice.approval": "Approval needed",
    "notice.deny": "Deny",
    "notice.document": "1 document",
    "notice.documents": "{count} documents",
    "notice.failed": "That did not work",
    "notice.finished": "Finished: {title}",
    "notice.gone": "{name} is no longer where it was saved.",
    "notice.no_program": "No program opens {name}: {why}.",
    "notice.no_screenshot": "The screen could not be captured: {why}.",
    "notice.open": "Open file",
    "notice.problem": "Hivekeep has a problem",
    "notice.run": "a run",
    "notice.show": "Show",
    "notice.waiting": "{count} waiting for your answer. Without one, the answer is no.",
    "pause.15m": "15 minutes",
    "pause.1d": "A day",
    "pause.1h": "1 hour",
    "pause.4h": "4 hours",
    "tip.daemon": "the daemon does not answer",
    "tip.idle": "idle",
    "tip.paused": "paused until {time}",
    "tip.problem": "policy or audit problem",
    "tip.waiting": "{count} waiting for your answer",
    "tip.working": "working, {done} of {total} documents",
    "window.no_tray": "There is no tray on this desktop, so Hivekeep opened its window instead. "
    "On GNOME the AppIndicator extension adds one. 'hivekeep approvals' and 'hivekeep runs' work "
    "without any.",
}
CHINESE = {
    "menu.approvals": "审批（{count}）",
    "menu.ask": "提问…",
    "menu.clipboard": "处理剪贴板",
    "menu.dashboard": "控制台",
    "menu.drop_folder": "投递文件夹",
    "menu.files": "处理文件…",
    "menu.folder": "打开文件夹",
    "menu.look": "查看各值",
    "menu.no_folders": "没有监视的文件夹",
    "menu.no_results": "还没有结果",
    "menu.open": "打开 {name}",
    "menu.pause": "暂停",
    "menu.policy": "策略状态",
    "menu.problem": "问题：{text}",
    "menu.quit": "退出",
    "menu.recent": "最近的结果",
    "menu.resume": "结束暂停",
    "menu.run_now": "立即运行",
    "menu.screenshot": "处理屏幕截图",
    "menu.settings": "设置",
    "menu.start": "启动 Hivekeep",
    "notice.approval": "需要审批",
    "notice.deny": "拒绝",
    "notice.document": "1 份文档",
    "notice.documents": "{count} 份文档",
    "notice.failed": "操作未成功",
    "notice.finished": "已完成：{title}",
    "notice.gone": "{name} 已不在保存时的位置。",
    "notice.no_program": "没有程序可以打开 {name}：{why}。",
    "notice.no_screenshot": "无法截取屏幕：{why}。",
    "notice.open": "打开文件",
    "notice.problem": "Hivekeep 出现问题",
    "notice.run": "一个任务",
    "notice.show": "查看",
    "notice.waiting": "有 {count} 项等待您的答复，逾期即视为拒绝。",
    "pause.15m": "15 分钟",
    "pause.1d": "一天",
    "pause.1h": "1 小时",
    "pause.4h": "4 小时",
    "tip.daemon": "后台服务没有响应",
    "tip.idle": "空闲",
    "tip.paused": "已暂停至 {time}",
    "tip.problem": "策略或审计问题",
    "tip.waiting": "{count} 项等待您的答复",
    "tip.working": "工作中，{total} 份文档中已完成 {done} 份",
    "window.no_tray": "此桌面没有托盘，因此 Hivekeep 打开了窗口。GNOME 可安装 AppIndicator 扩展。"
    "命令 hivekeep approvals 和 hivekeep runs 无需托盘也可使用。",
}


def words(language: str) -> Callable[..., str]:
    """A function from key and values to text."""
    table = CHINESE if language == "zh-CN" else ENGLISH

    def say(key: str, **values: object) -> str:
        return table[key].format(**values)

    return say


def resolve(setting: str) -> str:
    """``en`` or ``zh-CN`` for a setting that may say ``auto``."""
    if setting != "auto":
        return setting
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG")
    chosen = named or locale.getlocale()[0] or ""
    return "zh-CN" if chosen.lower().startswith("zh") else "en"
