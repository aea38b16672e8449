"""What the documents show is what the program does."""

import re

import pytest

from preview.recording.recorder import record
from stacks.loading import SettingsError, load
from stacks.reference import REFERENCE, reference
from tests.stacks.stack_files import ROOT, settings_of

README = (ROOT / "README.md").read_text()


def test_the_settings_reference_is_that_of_the_models() -> None:
    assert REFERENCE.read_text() == reference(), "run `make reference`"


def test_the_example_of_composing_components_runs_as_it_stands() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    recording = record(lambda: exec(example, {}), project="elsewhere", stack="test")  # noqa: S102
    assert len(recording.of_type("aws:rds/instance:Instance")) == 1
    assert "research/notebook/database" in recording.outputs["notebook_secret"]


def test_the_example_of_a_refused_file_is_what_a_person_would_read() -> None:
    (shown,) = re.findall(r"```\n(Pulumi\.prod\.yaml has.*?)```", README, re.DOTALL)
    settings = settings_of("prod")
    settings["agents"] = [{**settings["agents"][0], "replicas": {"min": 1}}]
    settings["database"]["instanceClass"] = "db.t4g.micro"
    with pytest.raises(SettingsError) as caught:
        load(settings, stack="prod")
    assert " ".join(str(caught.value).split()) == " ".join(shown.split())


def test_every_file_that_the_readme_names_is_there() -> None:
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / path).exists(), path
