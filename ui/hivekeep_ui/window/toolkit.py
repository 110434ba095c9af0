"""Qt for pywebview, without what makes it slow to begin.

Responsible for how Qt is loaded and how it draws.  pywebview asks for Qt through qtpy, which copies
every name of every Qt module and thereby makes PySide build thousands of classes before a question
can be on the screen; here pywebview gets PySide's modules themselves.  And the pages are plain
enough to be drawn without the graphics card, whose process and context take longer to begin than
all the rest of the page.  Invariant: if a pywebview wants more of qtpy than this, it gets the real
one, and only time is lost.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any


def load() -> None:
    """Import pywebview's Qt part. Before the application object exists.

    ``HIVEKEEP_UI_GPU=1`` in the environment lets the graphics card draw.
    """
    if os.environ.get("HIVEKEEP_UI_GPU") != "1":
        os.environ.setdefault("QT_QUICK_BACKEND", "software")
        flags = os.environ.get("QTWEBENGINE_CHROMIUM_FLAGS", "")
        os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = f"{flags} --disable-gpu".strip()
    lean = _lean()
    if not set(lean) & set(sys.modules):
        sys.modules.update(lean)
        try:
            import webview.platforms.qt
        except (ImportError, AttributeError):
            sys.modules.pop("webview.platforms.qt", None)
        else:
            return
        finally:
            for name in lean:
                del sys.modules[name]
    import webview.platforms.qt  # noqa: F401


def _lean() -> dict[str, ModuleType]:
    """Modules by the names that pywebview imports them by."""
    from PySide6 import QtCore, QtGui, QtNetwork, QtWebChannel, QtWidgets
    from PySide6.QtWebEngineCore import (
        QWebEnginePage,
        QWebEngineProfile,
        QWebEngineSettings,
        QWebEngineUrlRequestInterceptor,
    )
    from PySide6.QtWebEngineWidgets import QWebEngineView

    return {
        "qtpy": _module("qtpy", PYQT6=False, PYSIDE6=True, QtCore=QtCore),
        "qtpy.QtCore": QtCore,
        "qtpy.QtGui": QtGui,
        "qtpy.QtNetwork": QtNetwork,
        "qtpy.QtWebChannel": QtWebChannel,
        "qtpy.QtWebEngineCore": _module(
            "qtpy.QtWebEngineCore",
            QWebEngineUrlRequestInterceptor=QWebEngineUrlRequestInterceptor,
        ),
        "qtpy.QtWebEngineWidgets": _module(
            "qtpy.QtWebEngineWidgets", QWebEnginePage=QWebEnginePage, QWebEngineView=QWebEngineView,
            QWebEngineProfile=QWebEngineProfile, QWebEngineSettings=QWebEngineSettings,
        ),
        # Qt 6 moved QAction to QtGui.
        "qtpy.QtWidgets": _module(
            "qtpy.QtWidgets", QAction=QtGui.QAction,
            **{name: getattr(QtWidgets, name) for name in
               ("QApplication", "QFileDialog", "QMainWindow", "QMenuBar", "QMessageBox")},
        ),
    }  # fmt: skip


def _module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made
