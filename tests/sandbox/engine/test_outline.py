"""`make up` begins with what it is about to make."""

from pathlib import Path

import pytest

from sandbox.engine import outline
from tests.conftest import ROOT
from tests.preview.projects import project


def test_a_few_true_lines_are_printed_while_other_things_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with outline.shown(project(tmp_path), "dev"):
        pass
    told = capsys.readouterr().out
    assert "Stack dev: 1 agent, " in told
    assert "a month" in told
    assert "the internet connects to traefik-release (80/tcp, 443/tcp)" in told
    assert (tmp_path / "build" / "preview" / "dev" / "report.html").is_file()


def test_a_preview_that_fails_leaves_the_telling_to_the_deployment(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with outline.shown(ROOT, "no-such-stack"):
        pass
    assert capsys.readouterr().out == ""


def test_a_deployment_that_fails_does_not_wait_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError), outline.shown(project(tmp_path), "dev"):
        raise RuntimeError
    assert capsys.readouterr().out == ""
