"""Where two values differ, and which differences replace."""

import pytest

from preview.recording.plan import Secret
from preview.recording.replacement import replacing
from preview.recording.values import ABSENT, differing, is_at_or_below


def test_differences_are_reported_by_the_innermost_path() -> None:
    before = {"a": {"b.c": 1, "d": [1, 2]}, "same": {"x": [1]}}
    after = {"a": {"b.c": 2, "d": [1, 3, 4]}, "same": {"x": [1]}}
    assert [(d.path, d.before, d.after) for d in differing(before, after)] == [
        ('a["b.c"]', 1, 2),
        ("a.d[1]", 2, 3),
        ("a.d[2]", ABSENT, 4),
    ]


def test_documents_in_json_are_compared_by_what_they_say() -> None:
    before = {"policy": '{"Statement": [{"Action": "a"}]}'}
    assert [d.path for d in differing(before, {"policy": '{"Statement": [{"Action": "b"}]}'})] == [
        "policy.Statement[0].Action"
    ]


def test_secrets_differ_by_their_values_and_show_none() -> None:
    one, other = Secret(fingerprint="1"), Secret(fingerprint="2")
    assert list(differing({"p": one}, {"p": one})) == []
    assert [repr(d.after) for d in differing({"p": one}, {"p": other})] == ["[secret]"]


@pytest.mark.parametrize(
    ("path", "expected"), [("spec", True), ("spec.a", True), ("spec[0]", True), ("specs", False)]
)
def test_a_path_is_within_another_by_whole_steps(path: str, expected: bool) -> None:
    assert is_at_or_below(path, "spec") is expected


_MUTABLE = {"enableConfigMapMutable": "true"}


def test_a_config_map_is_replaced_unless_its_provider_may_change_it() -> None:
    type_, before, after = "kubernetes:core/v1:ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}
    assert replacing(type_, before, after) == ["data.a"]
    assert replacing(type_, before, after, _MUTABLE) == []


def test_ignored_changes_do_not_replace_and_declared_ones_do() -> None:
    type_, before, after = "aws:ec2/vpc:Vpc", {"cidrBlock": "a", "tags": "x"}, {"cidrBlock": "b", "tags": "y"}
    assert replacing(type_, before, after) == ["cidrBlock"]
    assert replacing(type_, before, after, ignored=("cidrBlock",)) == []
    assert replacing(type_, before, after, also=("tags",)) == ["cidrBlock", "tags"]
