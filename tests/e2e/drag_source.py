"""A window like a file manager's that offers one file to drag: ``python -m … FILE``, then a mouse.

It is green all over, so that a picture of the screen shows whether it was on it.
"""

from __future__ import annotations

import sys

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget

GREEN = (51, 204, 102)


class Source(QWidget):
    """Drags ``path`` as soon as the mouse moves with its button held."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self.setWindowTitle("drag source")
        self.setStyleSheet(f"background: rgb{GREEN}")
        self.setGeometry(0, 0, 160, 160)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Begin to drag."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            content = QMimeData()
            content.setUrls([QUrl.fromLocalFile(self._path)])
            drag = QDrag(self)
            drag.setMimeData(content)
            drag.exec(Qt.DropAction.CopyAction)


def main() -> None:
    """Show it until it is killed."""
    application = QApplication(sys.argv)
    source = Source(sys.argv[1])
    source.show()
    application.exec()


if __name__ == "__main__":
    main()
