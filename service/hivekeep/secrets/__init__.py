"""Keys at rest: the OS keyring, or an encrypted file under a passphrase; never plaintext.

Responsible for keeping small secrets; not for what they protect.  Invariant: a profile that has
begun with one backend never silently continues with another, because that would mean new keys and
unreadable data.
"""

from hivekeep.secrets.passphrase import Passphrase, ask_passphrase
from hivekeep.secrets.store import KeyStore, needs_passphrase, open_key_store

__all__ = ["KeyStore", "Passphrase", "ask_passphrase", "needs_passphrase", "open_key_store"]
