"""The daemon's own entry, without the command line: ``python -m hivekeep.daemon``.

Responsible for arguments and for one line on standard error when it cannot start.  It exists
because the command line's libraries would stay in memory for as long as the daemon runs.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from pathlib import Path

from hivekeep.daemon.profile import Profile
from hivekeep.daemon.starting import prepared
from hivekeep.domain.errors import HivekeepError


def main() -> None:
    """Run until told to stop; exit with the documented status."""
    parser = argparse.ArgumentParser(prog="hivekeep-daemon", description="The Hivekeep daemon.")
    parser.add_argument("--profile", type=Path, default=None, help="folder of the profile")
    parser.add_argument(
        "--passphrase-fd", type=int, default=None, help="read the key file's passphrase from here"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        profile = Profile.locate(options.profile)
        with prepared(profile, options.passphrase_fd) as open_keys:
            # All of the daemon, while the keys are opened. What importing makes stays for good, so
            # looking through it for garbage would be a tenth of the start, and later of each look.
            gc.disable()
            from hivekeep.daemon.main import run

            gc.freeze()
            gc.enable()
            run(profile, open_keys)
    except HivekeepError as error:
        for line in (error.what, error.why, error.next_step):
            if line:
                sys.stderr.write(f"{line}\n")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
