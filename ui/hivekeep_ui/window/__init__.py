"""The window: one process that shows the pages, started on demand and gone soon after."""
