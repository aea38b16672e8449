"""The browser that pages are tried in, where there is one."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def result_of(url: str, profile: Path, *, width: int = 800, budget_ms: int) -> tuple[dict[str, Any], str]:
    """What a page at this address leaves in its title, as JSON behind ``RESULT``, and what the browser logs.

    Args:
        profile: a folder that is not there yet.
        width: of the window, in pixels.
        budget_ms: of the browser's own time, which stands still for requests.
    """
    assert BROWSER, "CI has to have Chromium: without it nobody looks at the page"
    done = subprocess.run(
        [
            BROWSER,
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--window-size={width},900",
            f"--virtual-time-budget={budget_ms}",
            "--enable-logging=stderr",
            "--dump-dom",
            url,
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    found = re.search(r"<title>RESULT(.*?)</title>", done.stdout)
    assert found, done.stderr
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    return result, done.stderr
