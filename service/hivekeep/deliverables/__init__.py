"""What a run hands to its user: a workbook, JSON and Markdown.

Responsible for rendering a finished run and putting the files in place; it knows nothing of how the
values came about.  Invariant: text from documents is shown and never executed.
"""

from hivekeep.deliverables.publish import ReportPublisher
from hivekeep.deliverables.rendering import ChildPublisher

__all__ = ["ChildPublisher", "ReportPublisher"]
