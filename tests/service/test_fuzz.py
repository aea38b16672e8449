"""Whatever the schema allows, and much that it does not: never a 5xx."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import settings
from schemathesis import Case

from langgraph_agents_service.api.app import create_app
from langgraph_agents_service.configuration.settings import Settings
from tests.service.serving import KEY, Served

pytestmark = pytest.mark.e2e

_app = create_app(Settings(host="127.0.0.1", checkpointer="memory"))
schema = schemathesis.openapi.from_dict(_app.api.openapi())


@schema.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_no_request_makes_the_service_fail(case: "Case[Any]", on_postgres: Served) -> None:
    answer = case.call(base_url=on_postgres.url, headers={"X-API-Key": KEY.partition(":")[2]}, timeout=20)
    assert answer.status_code < 500, answer.text
