"""Conditions on metadata: what handlers may return, in the process and in SQL."""

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from langgraph_agents_service.persistence.registry.filters import FilterError, admitted, parse

METADATA: list[dict[str, Any]] = [
    {"owner": "ann", "team": "north", "members": ["ann", "bob"], "level": 1},
    {"owner": "bob", "team": "north", "members": ["bob"], "level": True},
    {"owner": ["ann"], "members": "ann", "level": None},
    {"owner": {"name": "ann"}, "members": [["ann"]], "level": 1.0},
    {},
]

FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({"owner": "ann"}, [0]),
    ({"owner": {"$eq": "ann"}}, [0]),
    ({"owner": {"$eq": {"name": "ann"}}}, [3]),
    ({"owner": {"$eq": {}}}, []),
    ({"owner": ["ann"]}, [2]),
    ({"members": {"$contains": "bob"}}, [0, 1]),
    ({"members": {"$contains": ["bob", "ann"]}}, [0]),
    ({"members": {"$contains": []}}, [0, 1, 3]),
    ({"team": "north", "members": {"$contains": "ann"}}, [0]),
    ({"level": 1}, [0, 3]),
    ({"level": True}, [1]),
    ({"level": None}, [2]),
    ({"$or": [{"owner": "bob"}, {"members": {"$contains": "ann"}}]}, [0, 1]),
    ({"$or": [{"owner": "ann"}, {"owner": "bob"}], "level": True}, [1]),
    ({"$and": [{"team": "north"}, {"$or": [{"owner": "bob"}, {"owner": "eve"}]}]}, [1]),
    ({"$and": [{"$or": [{"owner": "ann"}, {"owner": "bob"}]}, {"$or": [{"level": 1}, {"level": 2}]}]}, [0]),
    ({"nobody": "has this"}, []),
]


@pytest.mark.parametrize(("given", "expected"), FILTERS)
def test_a_filter_admits_what_it_says_and_nothing_else(given: dict[str, Any], expected: list[int]) -> None:
    found = parse(given)
    assert found is not None
    assert [index for index, metadata in enumerate(METADATA) if found.admits(metadata)] == expected


def test_sql_admits_exactly_what_the_process_admits(database_uri: str) -> None:
    query = f"SELECT {admitted('%(only)s::jsonb', '%(metadata)s::jsonb')} AS admitted"

    async def all_of_them() -> None:
        async with await psycopg.AsyncConnection.connect(database_uri) as connection:
            for given, expected in FILTERS:
                found = parse(given)
                assert found is not None
                admitted_rows = []
                for index, metadata in enumerate(METADATA):
                    only = Jsonb(found.document())
                    cursor = await connection.execute(query, {"only": only, "metadata": Jsonb(metadata)})
                    row = await cursor.fetchone()
                    if row and row[0]:
                        admitted_rows.append(index)
                assert admitted_rows == expected, given
            cursor = await connection.execute(query, {"only": None, "metadata": Jsonb({})})
            assert await cursor.fetchone() == (True,), "no filter admits all"

    asyncio.run(all_of_them())


@pytest.mark.parametrize("given", [given for given, _ in FILTERS])
def test_what_an_index_looks_for_never_hides_what_the_filter_admits(given: dict[str, Any]) -> None:
    found = parse(given)
    assert found is not None
    for metadata in METADATA:
        if found.admits(metadata):
            assert all(key in metadata for key in found.contained())


@pytest.mark.parametrize(
    "given",
    [
        {"owner": {"$ne": "ann"}},
        {"owner": {"name": "ann"}},
        {"owner": {}},
        {"owner": {"$eq": "ann", "$contains": "bob"}},
        {"$not": {"owner": "ann"}},
        {"$or": [{"owner": "ann"}]},
        {"$or": {"owner": "ann"}},
        {"$or": ["ann", "bob"]},
        {"$and": []},
        {"members": {"$contains": [{"name": "ann"}]}},
        {"$and": [{"a": 1}, {"$or": [{"a": 1}, {"$and": [{"a": 1}, {"$or": [{"a": 1}, {"b": 1}]}]}]}]},
        {"$and": [{"$or": [{"a": n} for n in range(20)]}, {"$or": [{"b": n} for n in range(20)]}]},
        {"owner": object()},
        {"owner": "\0"},
        {"owner": "\ud800"},
    ],
)
def test_what_is_no_filter_is_refused_instead_of_admitting_anything(given: dict[str, Any]) -> None:
    with pytest.raises(FilterError):
        parse(given)


def test_an_empty_filter_is_none() -> None:
    assert parse({}) is None
