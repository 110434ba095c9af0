"""The ``hivekeep`` command: thin, it only asks the daemon (or a capability) and renders answers."""
