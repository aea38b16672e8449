"""GitHub's workflows by their linter, which is built from the Go module proxy. Its own shell checks need shellcheck."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT

_PIN = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("go") is None, reason="no Go on PATH: install it to lint the workflows"),
]


def _lint(*files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["go", "run", _PIN, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_actionlint_finds_nothing() -> None:
    done = _lint()

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_workflow_that_names_what_is_not_there_is_found(tmp_path: Path) -> None:
    """Otherwise a linter that reads no workflow would find nothing."""
    text = (ROOT / ".github" / "workflows" / "preview.yml").read_text()
    broken = tmp_path / "preview.yml"
    broken.write_text(text.replace("steps.preview.conclusion", "steps.previw.conclusion"))

    done = _lint(broken)

    assert done.returncode == 1
    assert 'property "previw" is not defined' in done.stdout
