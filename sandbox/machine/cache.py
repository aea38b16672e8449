"""What the cache that all checkouts share may forget."""

import shutil
import time
from pathlib import Path

_KEPT_SECONDS = 7 * 24 * 3600.0


def forget_unused(folder: Path) -> None:
    """Remove the files and folders in a folder that have not been used for a week: who uses one sets its time."""
    oldest = time.time() - _KEPT_SECONDS
    for path in folder.iterdir():
        if path.stat().st_mtime >= oldest:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
