"""Tells folders whose changes the operating system does not report.

Responsible for recognising network and other foreign file systems; the watcher polls those.
"""

from __future__ import annotations

from pathlib import Path, PurePath

import psutil

_REMOTE = frozenset(
    {
        *("9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "glusterfs"),
        *("gpfs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "prl_fs"),
        *("smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "webdav"),
    }
)


def is_remote(folder: Path) -> bool:
    """Whether ``folder`` (resolved) lies on a file system that other machines can change.

    :raises OSError: if the system does not tell its mounts.
    """
    kind, options, depth = "", "", 0
    for disk in psutil.disk_partitions(all=True):
        mount = PurePath(disk.mountpoint)
        # Of several mounts on one place, the last one listed is the one that shows.
        if (mount == folder or mount in folder.parents) and len(mount.parts) >= depth:
            kind, options, depth = disk.fstype.casefold(), disk.opts, len(mount.parts)
    return kind in _REMOTE or kind.startswith("fuse.") or "remote" in options.split(",")
