"""Plain frozen types and pure rules; no I/O, and no import of any other Hivekeep package."""
