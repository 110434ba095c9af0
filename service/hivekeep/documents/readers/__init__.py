"""One module per kind of document, from bytes to blocks; runs only in a reader process."""
