"""What is told of one resource."""

import pytest

from preview.exposure import exposure
from preview.report.explain import explain
from sandbox.common.errors import InputError
from tests.preview.projects import plan_of


def test_a_secret_is_explained_from_the_line_that_made_it_to_those_who_read_it() -> None:
    plan = plan_of("dev")
    [told] = explain(plan, exposure(plan), "database-admin-entry")
    assert told.made_by[0].startswith("Secret database-admin-entry, components/secrets/secrets.py:")
    assert told.made_by[-1].startswith("Checkpointer database, stacks/platform.py:")
    assert told.needs == ("Key secrets-key-key",)
    assert "SecretVersion database-admin-version" in told.needed_by
    [way] = told.reached
    assert way.startswith(
        "Job support-migration-job runs as ServiceAccount support-migration-service-account reads"
    )
    assert "kms:Decrypt" in way


def test_a_workload_is_reported_where_it_is_reached_from_and_where_it_gets_to() -> None:
    plan = plan_of("dev")
    [told] = explain(plan, exposure(plan), "support-workload-deployment")
    assert told.agent == "support"
    assert [way.split(" connects")[0] for way in told.reached] == ["the internet"]
    assert any(step.startswith("connects to Instance database-instance (5432/tcp;") for step in told.reaches)


def test_resources_are_found_by_their_names_in_kubernetes_and_aws_and_by_urn() -> None:
    plan = plan_of("dev")
    reached = exposure(plan)
    kinds = {told.resource.kind for told in explain(plan, reached, "support")}
    assert {"Deployment", "Service", "Ingress", "Agent"} <= kinds
    [told] = explain(plan, reached, "langgraph-agents/dev/database/admin")
    assert told.resource.name == "database-admin-entry"
    assert explain(plan, reached, told.resource.urn) == [told]


def test_an_unknown_name_is_refused_with_those_that_are_close() -> None:
    plan = plan_of("dev")
    with pytest.raises(InputError, match="is called databse: did you mean database"):
        explain(plan, exposure(plan), "databse")
