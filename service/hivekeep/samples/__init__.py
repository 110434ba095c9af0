"""Sample documents of our own making, for the demo and the tests; see ``truth.json``."""
