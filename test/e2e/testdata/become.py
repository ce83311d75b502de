"""Gives up root: a test that runs as an ordinary user starts Python as root, because the environment may lie where
that user cannot go."""

import os


def user() -> None:
    """Becomes the user that the test runs as. Everything that is imported must have been imported before."""
    uid, gid = int(os.environ["ANNEXFS_TEST_UID"]), int(os.environ["ANNEXFS_TEST_GID"])
    if os.getuid() == uid:
        return
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
