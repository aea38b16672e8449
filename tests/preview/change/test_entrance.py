"""How callers notice a change of what they pass on their way in; each case names the page."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preview.change.diff import compare
from preview.change.impact import Impact, impact
from preview.change.timing import estimate_update
from preview.exposure import exposure
from preview.recording.plan import Plan, PlannedResource
from preview.recording.program import make_plan
from tests.preview.projects import Settings, project, project_plan

INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
SERVICE = "kubernetes:core/v1:Service"
RELEASE = "kubernetes:helm.sh/v3:Release"
NAMESPACE = "kubernetes:core/v1:Namespace"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
GATE = "elbv2.k8s.aws/pod-readiness-gate-inject"
AUTO = "eks.amazonaws.com/pod-readiness-gate-inject"

Inputs = dict[str, Any]


def _of(plan: Plan, name: str, type_: str) -> PlannedResource:
    return next(resource for resource in plan.of_type(type_) if resource.name == name)


def _changed(plan: Plan, name: str, type_: str, change: Callable[[Inputs], object]) -> Plan:
    """The plan with the inputs of one resource changed in place."""
    old = _of(plan, name, type_)
    inputs = copy.deepcopy(dict(old.inputs))
    change(inputs)
    return replace(plan, resources={**plan.resources, old.urn: replace(old, inputs=inputs)})


def _judged(before: Plan, after: Plan) -> Impact:
    return impact(compare(before, after), exposure(before), exposure(after))


def _idle(inputs: Inputs) -> None:
    inputs["values"]["deployment"]["terminationGracePeriodSeconds"] += 1


def _annotated(name: str, value: str) -> Callable[[Inputs], object]:
    return lambda inputs: inputs["values"]["service"]["annotations"].update(
        {f"service.beta.kubernetes.io/aws-load-balancer-{name}": value}
    )


@pytest.fixture
def dev() -> Plan:
    return project_plan("dev")


def _labelled(plan: Plan, name: str, *gates: str) -> Plan:
    """With these readiness gates on a namespace, and no others."""

    def change(inputs: Inputs) -> None:
        kept = {
            label: value for label, value in inputs["metadata"]["labels"].items() if label not in (GATE, AUTO)
        }
        inputs["metadata"]["labels"] = {**kept, **dict.fromkeys(gates, "enabled")}

    return _changed(plan, name, NAMESPACE, change)


def _rolling(before: Plan) -> Impact:
    return _judged(before, _changed(before, "traefik-release", RELEASE, _idle))


@pytest.mark.parametrize(("gates", "failures"), [((GATE,), 0), ((), 1), ((AUTO,), 1)])
def test_pods_that_wait_for_the_load_balancer_roll_unnoticed(
    gates: tuple[str, ...], failures: int, dev: Plan
) -> None:
    """pod_readiness_gate: a rollout does not end old pods before the new ones are healthy in the target group."""
    assert len(_rolling(_labelled(dev, "traefik-namespace", *gates)).failures) == failures


def _in_auto_mode(settings: Settings) -> None:
    settings["cluster"].pop("nodeGroups")
    settings["cluster"]["compute"] = "auto-mode"


@pytest.mark.parametrize(("gates", "failures"), [((AUTO,), 0), ((GATE,), 1)])
def test_auto_mode_reads_a_label_of_its_own(gates: tuple[str, ...], failures: int, tmp_path: Path) -> None:
    """The containers blog on EKS Auto Mode; the AWS Load Balancer Controller's label is another controller's."""
    before = make_plan("dev", project(tmp_path, "dev", _in_auto_mode))
    assert _rolling(before).failures == ()
    assert len(_rolling(_labelled(before, "traefik-namespace", *gates)).failures) == failures


def test_the_failures_of_traefik_name_the_agents_behind_it() -> None:
    assert _rolling(_labelled(project_plan("prod"), "traefik-namespace")).failures == (
        "traefik-release rolls faster than the load balancer takes new pods in, which have to be healthy there first:"
        " research, support may not be reached for up to two minutes",
    )


def test_a_gate_that_comes_is_told_to_be_in_pods_that_are_made_from_then_on(dev: Plan) -> None:
    """pod_readiness_gate: the controller injects it only during pod creation."""
    without = _labelled(dev, "traefik-namespace")
    assert _judged(without, dev).notes == (
        "pods that are made in traefik from now on are ready once their load balancer sends them requests; those that"
        " are there serve on, and get such a gate when they are next replaced",
    )
    assert _judged(dev, without).notes == _judged(dev, dev).notes == ()


def _seconds(before: Plan, after: Plan, name: str) -> float:
    return next(step.seconds for step in estimate_update(compare(before, after)).steps if step.name == name)


def test_pods_that_wait_for_the_load_balancer_roll_slower_the_more_there_are() -> None:
    """A Network Load Balancer takes a few minutes to register a target, and one pod comes after the other."""
    prod = project_plan("prod")
    rolls = {
        gated: _seconds(before, _changed(before, "traefik-release", RELEASE, _idle), "traefik-release")
        for gated, before in ((True, prod), (False, _labelled(prod, "traefik-namespace")))
    }
    pods = _of(prod, "traefik-release", RELEASE).inputs["values"]["deployment"]["replicas"]
    assert pods == 3
    assert rolls[True] - rolls[False] >= pods * 120


def test_a_gated_agent_rolls_as_many_pods_as_its_autoscaler_keeps(tmp_path: Path) -> None:
    def alb(settings: Settings) -> None:
        settings["ingress"]["controller"] = "alb"

    before = make_plan("prod", project(tmp_path, "prod", alb))
    after = _changed(
        before,
        "support-workload-deployment",
        DEPLOYMENT,
        lambda inputs: inputs["spec"]["template"]["metadata"]["annotations"].update(changed="yes"),
    )
    assert _judged(before, after).failures == ()
    ungated = [_labelled(plan, "namespace-namespace") for plan in (before, after)]
    assert len(_judged(*ungated).failures) == 1
    slower = _seconds(before, after, "support-workload-deployment") - _seconds(
        ungated[0], ungated[1], "support-workload-deployment"
    )
    least = _of(before, "support-autoscaling-hpa", HPA).inputs["spec"]["minReplicas"]
    assert (least, slower) == (3, 3 * 30)


@pytest.mark.parametrize(("name", "value"), [("scheme", "internal"), ("type", "external")])
def test_another_scheme_or_type_is_another_load_balancer(name: str, value: str, dev: Plan) -> None:
    """isSDKLoadBalancerRequiresReplacement of the AWS Load Balancer Controller"""
    found = _judged(dev, _changed(dev, "traefik-release", RELEASE, _annotated(name, value)))
    assert (
        "traefik-release changes: nothing is reached through it until another load balancer is there and names lead to"
        " it" in found.failures
    )


@pytest.mark.parametrize(
    ("name", "value"), [("name", "other"), ("attributes", "deletion_protection.enabled=true")]
)
def test_another_name_or_attribute_of_a_load_balancer_is_noticed_by_nobody(
    name: str, value: str, dev: Plan
) -> None:
    assert _judged(dev, _changed(dev, "traefik-release", RELEASE, _annotated(name, value))).failures == ()


def test_an_ingress_of_another_group_is_served_by_another_load_balancer(tmp_path: Path) -> None:
    def alb(settings: Settings) -> None:
        settings["ingress"]["controller"] = "alb"

    before = make_plan("prod", project(tmp_path, "prod", alb))
    group = "alb.ingress.kubernetes.io/group.name"
    after = _changed(
        before,
        "support-ingress-ingress",
        INGRESS,
        lambda inputs: inputs["metadata"]["annotations"].update({group: "x"}),
    )
    assert _judged(before, after).failures == (
        "support-ingress-ingress changes: nobody is reached until the other load balancer serves it and its name leads"
        " there",
    )


def _port(inputs: Inputs) -> None:
    for port in inputs["spec"]["ports"]:
        port["port"] += 1


@pytest.mark.parametrize(
    "change", [_port, lambda inputs: inputs["spec"]["selector"].update({"app.kubernetes.io/name": "other"})]
)
def test_a_service_that_the_ingress_or_no_pod_answers_to_cuts_callers_off(
    change: Callable[[Inputs], object], dev: Plan
) -> None:
    """A backend's port is one of its Service's, and a Service has the pods that its selector finds."""
    found = _judged(dev, _changed(dev, "support-workload-service", SERVICE, change))
    assert found.failures == (
        "support-ingress-ingress no longer reaches support-workload-deployment (8000/tcp)",
    )


def _made(folder: Path, before: Plan | None = None, **ingress: str) -> Plan:
    folder.mkdir()
    return make_plan(
        "dev", project(folder, "dev", lambda settings: settings["ingress"].update(ingress)), before
    )


def test_a_certificate_of_another_issuer_is_served_once_it_is_there(tmp_path: Path, dev: Plan) -> None:
    """cert-manager.io/docs/faq: it is issued anew when the issuer of the Secret is another one."""
    trusted = _made(tmp_path / "trusted", dev, issuer="letsencrypt-prod")
    found = _judged(dev, trusted)
    assert found.failures == ()
    assert found.notes == (
        "support is served with the certificate of letsencrypt-staging until cert-manager has that of"
        " letsencrypt-prod, about a minute after the change",
    )
    back = _judged(trusted, dev)
    assert ["callers of support refuse it" in sentence for sentence in back.failures] == [True]


def test_records_of_a_zone_that_is_left_stay(tmp_path: Path, dev: Plan) -> None:
    """external-dns changes records of its domainFilters alone, with policy sync too."""
    folder = tmp_path / "moved"
    folder.mkdir()

    def change(settings: Settings) -> None:
        settings["ingress"]["hostedZone"] = "agents.example.org"
        settings["agents"][0]["host"] = "support.agents.example.org"

    found = _judged(dev, make_plan("dev", project(folder, "dev", change), dev))
    assert found.notes[-1].startswith(
        "external-dns no longer looks at dev.agents.example.com: its records there"
    )


@pytest.mark.parametrize(("pods", "failures"), [(1, 1), (2, 0)])
def test_a_single_pod_of_traefik_keeps_callers_out_while_its_node_is_replaced(
    pods: int, failures: int, tmp_path: Path
) -> None:
    plans: list[Plan] = []
    for disk in (50, 80):

        def change(settings: Settings, disk: int = disk) -> None:
            settings["cluster"]["nodeGroups"][0]["diskSize"] = disk
            settings["ingress"]["replicas"] = pods
            settings.setdefault("defaults", {})["replicas"] = {"min": 2, "max": 3}

        folder = tmp_path / str(disk)
        folder.mkdir()
        plans.append(make_plan("dev", project(folder, "dev", change), plans[0] if plans else None))
    assert len(_judged(*plans).failures) == failures


def test_an_object_is_not_made_under_the_name_of_one_that_goes(dev: Plan) -> None:
    """Server-side apply takes the object that is there, and the deletion at the end takes it away."""
    old = _of(dev, "support-workload-service", SERVICE)
    moved = replace(old, urn=f"{old.urn}-moved", name="moved", aliases=())
    rest = {urn: resource for urn, resource in dev.resources.items() if urn != old.urn}
    found = _judged(dev, replace(dev, resources={**rest, moved.urn: moved}))
    assert [sentence.split(":")[0] for sentence in found.errors] == ["moved"]
    elsewhere: Mapping[str, Any] = {
        **moved.inputs,
        "metadata": {**moved.inputs["metadata"], "namespace": "other"},
    }
    apart = replace(moved, inputs=elsewhere)
    assert _judged(dev, replace(dev, resources={**rest, apart.urn: apart})).errors == ()


@pytest.mark.parametrize(("first", "then"), [("traefik", "alb"), ("alb", "traefik")])
def test_an_agents_ingress_is_the_same_object_under_either_controller(
    first: str, then: str, tmp_path: Path
) -> None:
    before = _made(tmp_path / first, controller=first)
    after = _made(tmp_path / then, before, controller=then)
    [ingress] = [change for change in compare(before, after).changes if change.resource.type == INGRESS]
    assert (ingress.before and ingress.before.name, ingress.status) == ("support-ingress-ingress", "updated")
    assert _judged(before, after).errors == ()


def test_an_agent_in_another_namespace_is_made_beside_the_one_that_serves(tmp_path: Path, dev: Plan) -> None:
    """pulumi-kubernetes deletes first only what keeps its name within its namespace."""
    after = make_plan(
        "dev", project(tmp_path, "dev", lambda settings: settings.update(namespace="agents")), dev
    )
    beside = {change.resource.name: change.beside for change in compare(dev, after).changes if change.reasons}
    assert all(beside.values())
    assert ["callers refuse" in sentence for sentence in _judged(dev, after).failures] == [True]
