"""The reader of stack files: what it reads as the engine does, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest

from stacks.reading import StackFileError, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "Pulumi.dev.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("12", 12),
        ("1.30", 1.3),
        ("3.0", 3),
        ("1e3", 1000),
        ("1_000", 1000),
        ("0777", 511),
        ("0999", 999),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        (".5", 0.5),
        ("12e4567", "12e4567"),
        ("1:30", "1:30"),
        ("2027-01-31", "2027-01-31 00:00:00 +0000 UTC"),
        ("2027-01-31 10:00:00", "2027-01-31 10:00:00 +0000 UTC"),
        ("2027-02-31", "2027-02-31"),
        ('"2027-01-31"', "2027-01-31"),
        ('"12"', "12"),
        ("", None),
        ("~", None),
    ],
)
def test_a_value_is_what_the_engine_reads(file: Path, text: str, value: Any) -> None:
    """The values are those of `pulumi config --json`."""
    file.write_text(f"config:\n  a: {text}\n")
    found = read(file).config["a"]
    assert (found, type(found)) == (value, type(value))


def test_a_number_is_known_as_it_is_written(file: Path) -> None:
    file.write_text("config:\n  a: {version: 1.30, list: [0x10, text]}\n")
    found = read(file)
    assert found.written(["config", "a", "version"], 1.3) == "1.30"
    assert found.written(["config", "a", "list", 0], 16) == "0x10"
    assert found.written(["config", "a", "list", 1], "text") is None
    assert found.written(["config", "b"], 1) is None


def test_a_number_that_another_file_has_there_is_not_taken_for_it(file: Path) -> None:
    file.write_text("config: {a: 1.30}\n")
    assert read(file).written(["config", "a"], 1.4) is None


def test_a_key_that_stands_twice_is_refused_with_both_lines_and_all_of_them_at_once(file: Path) -> None:
    file.write_text(
        "config:\n"
        "  aws:region: eu-central-1\n"
        "  p:settings:\n"
        "    agents:\n"
        "      - name: a\n"
        "        model: fake\n"
        "        name: b\n"
        "  aws:region: eu-west-1\n"
    )
    with pytest.raises(StackFileError) as caught:
        read(file)
    assert str(caught.value) == (
        f"{file}: aws:region of config stands in line 2 and again in line 8: keep one\n"
        f"{file}: name of config.p:settings.agents[0] stands in line 5 and again in line 7: keep one"
    )


def test_the_same_key_in_two_objects_is_nothing_special(file: Path) -> None:
    file.write_text("config: {a: {name: x}, b: {name: y}, c: [{name: z}, {name: z}]}\n")
    assert read(file).config["c"] == [{"name": "z"}, {"name": "z"}]


def test_every_key_is_a_text(file: Path) -> None:
    file.write_text("config: {5: a, on: b, true: c, 1.30: d}\n")
    assert read(file).config == {"5": "a", "on": "b", "true": "c", "1.30": "d"}


def test_what_two_objects_share_may_be_written_once(file: Path) -> None:
    file.write_text("config:\n  a: &shared {zones: 2}\n  b: {<<: *shared, cidr: x}\n")
    assert read(file).config["b"] == {"zones": 2, "cidr": "x"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"config:\n  a: [1\n  b: 2\n", "is not YAML"),
        (b"config: \xff\xfe", "is not YAML"),
        (b"config: &a [*a]\n", "is not YAML"),
        (b"config: text\n", r": config is no object: write settings under it"),
        (b"config: [a]\n", r": config is no object"),
        (b"config: {? [a] : b}\n", "is not YAML"),
        (b"- a\n", "holds a list: it has to be an object"),
        (b"just words\n", "holds a single value: it has to be an object"),
    ],
)
def test_what_is_no_stack_file_is_refused_by_name(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)
    with pytest.raises(StackFileError, match=rf"Pulumi\.dev\.yaml ?{words}"):
        read(file)


def test_an_empty_file_has_no_configuration(file: Path) -> None:
    file.write_text("")
    assert read(file).config == {}


def test_a_file_that_is_not_there_is_reported(file: Path) -> None:
    with pytest.raises(StackFileError, match="cannot be read: No such file"):
        read(file)
