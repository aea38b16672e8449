"""Property values between the engine's protocol and Python."""

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from sandbox.providers.wire import UNKNOWN, decode, encode, is_known, is_secret

_SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10)
_KEYS = st.text(max_size=5)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner), max_leaves=10)


@given(st.dictionaries(_KEYS, _VALUES))
def test_what_goes_out_comes_back_the_same(properties: dict[str, object]) -> None:
    assert decode(encode(properties)) == properties


def test_whole_numbers_become_integers_since_kubernetes_refuses_three_point_zero() -> None:
    struct = Struct()
    struct.update({"replicas": 3, "ratio": 0.5})
    decoded = decode(struct)
    assert decoded == {"replicas": 3, "ratio": 0.5}
    assert isinstance(decoded["replicas"], int)


def test_only_the_named_outputs_are_marked_secret() -> None:
    wire = MessageToDict(encode({"result": "hunter2", "length": 7}, secrets={"result"}))
    assert is_secret(wire["result"])
    assert not is_secret(wire["length"])


def test_a_secret_is_read_without_its_mark_at_any_depth() -> None:
    inner = encode({"password": "hunter2"}, secrets={"password"})
    wire = Struct()
    wire.fields["auth"].struct_value.CopyFrom(inner)
    assert decode(wire) == {"auth": {"password": "hunter2"}}


@pytest.mark.parametrize("value", [UNKNOWN, [1, UNKNOWN], {"a": {"b": [UNKNOWN]}}])
def test_a_value_with_a_part_to_be_computed_is_not_known(value: object) -> None:
    assert not is_known(value)
    assert is_known(["a", {"b": None}, 1])


def test_what_is_no_property_value_is_refused_with_its_type() -> None:
    with pytest.raises(TypeError, match="set is no property value"):
        encode({"zones": {"a"}})
