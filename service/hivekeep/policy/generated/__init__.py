"""Files for administrators and readers, generated from the schema.

Responsible for the text of each file; ``hivekeep policy generate`` writes them.  Invariant: the
same schema gives the same bytes, so that a test can tell whether the committed files are fresh.
"""
