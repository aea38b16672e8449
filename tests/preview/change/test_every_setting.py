"""Changes over every setting, each against what AWS, Kubernetes and the providers document: every_setting.yaml."""

import gc
from collections.abc import Iterator

import pytest

from images.resolution import Resolution
from preview.recording.start import fast_start
from sandbox.common.errors import InputError
from tests.preview.change import every_setting
from tests.preview.change.every_setting import Row, reported, rows, settings_of, untrue

_ROWS = rows()


@pytest.fixture(autouse=True, scope="module")
def _fast() -> Iterator[None]:
    thresholds = gc.get_threshold()
    fast_start()
    yield
    gc.set_threshold(*thresholds)
    every_setting.forget()


@pytest.fixture(autouse=True)
def _resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package index is asked for the image of a project."""
    found = Resolution("idna==3.10 \\\n    --hash=sha256:00\n", "", locked=False)
    monkeypatch.setattr("images.context.resolve", lambda *_: found)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in _ROWS if "error" not in row.truth])
def test_the_preview_says_what_is_documented_of_a_change(row: Row) -> None:
    assert list(untrue(row, reported(row))) == []


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in _ROWS if "error" in row.truth])
def test_a_change_that_the_rules_refuse_is_refused_with_all_reasons(row: Row) -> None:
    with pytest.raises(InputError) as refused:
        reported(row)
    said = " ".join(str(refused.value).split())
    assert [problem for problem in row.truth["error"] if problem not in said] == []
    assert f"has {len(row.truth['error'])} problem" in said


def test_every_setting_of_the_reference_has_a_change() -> None:
    changed = set().union(*(settings_of(row) for row in _ROWS))
    assert every_setting.settings_of_the_reference() - changed == set()


def test_there_are_sixty_changes_at_least_each_with_a_name_and_a_page_of_its_own() -> None:
    assert len(_ROWS) >= 60
    assert len({row.name for row in _ROWS}) == len(_ROWS)
    assert [row.name for row in _ROWS if not row.truth["source"].startswith("https://")] == []
