"""The files of an agent's chart."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compose.pins import POSTGRES, VALKEY
from manifests.chart.parameters import NAMESPACE, Chart, add, config_maps_of, release_labels
from manifests.chart.schema import schema
from manifests.chart.template import expression, template
from manifests.folder import header
from manifests.objects import ClusterObjects, Object, pod_specs
from preview.recording.manifests import as_yaml

MARKED = "Chart.yaml"
_STATIC = Path(__file__).parent / "files"
_NAME = "app.kubernetes.io/name"
_COMPONENT = "app.kubernetes.io/component"
# A Deployment needs what a ConfigMap's values are reckoned from.
_FIRST = ("Deployment", "ConfigMap")


def agents_of(found: ClusterObjects) -> list[str]:
    """The names of the agents whose objects these are."""
    return [
        each["metadata"]["name"]
        for each in found.objects
        if each["kind"] == "Deployment" and each["metadata"]["labels"].get(_COMPONENT) == "server"
    ]


def objects_of(found: ClusterObjects, agent: str) -> list[Object]:
    """The objects of one agent, and the certificates that it trusts."""
    own = [each for each in found.objects if each["metadata"]["labels"].get(_NAME) == agent]
    return [*own, *_certificates(found, own)]


def files(found: ClusterObjects, agent: str) -> dict[str, str]:
    """The text of each file of its chart, by its path."""
    objects = objects_of(found, agent)
    namespace = objects[0]["metadata"]["namespace"]
    chart = Chart(agent, namespace)
    _stand_alone(chart)
    certificates = _certificates(found, objects)
    for each in sorted(
        (each for each in objects if each not in certificates),
        key=lambda each: (each["kind"] != "Deployment", len(each["metadata"]["name"])),
    ):
        add(chart, each)
    for each in certificates:
        _add_certificates(chart, each)
    version = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"]
    about = {
        "apiVersion": "v2",
        "name": agent,
        "description": f"The agent {agent} of the stack {found.plan.stack}",
        "type": "application",
        "version": version,
        "appVersion": version,
        "kubeVersion": ">=1.30.0-0",
    }
    mark = header("chart")
    written = {
        MARKED: mark + as_yaml(about),
        "values.yaml": mark + _COMMENT + as_yaml(chart.values),
        "values.schema.json": json.dumps(schema(chart.values), indent=2) + "\n",
        ".helmignore": "*.md\n.git/\n",
    }
    for path in sorted(_STATIC.rglob("*")):
        if path.is_file():
            written[str(path.relative_to(_STATIC))] = path.read_text()
    for name, made in chart.templates.items():
        written[f"templates/{name}.yaml"] = _text(name, made, chart.conditions.get(name))
    return written


_COMMENT = "# Each default is what the stack file makes of it. docs/helm.md says what the values mean.\n"


def _text(name: str, made: Object, condition: str | None) -> str:
    before, after = "", ""
    if name == "migration-job":
        # A Job's pods cannot be changed: it is called by what it is, and a changed one is another.
        before = f'{{{{- define "agent.migration" -}}}}\n{template(made.pop("spec"))}{{{{- end }}}}\n'
        made["metadata"]["name"] += "-" + expression('include "agent.migration" . | sha256sum | trunc 8')
        after = 'spec:\n  {{- include "agent.migration" . | nindent 2 }}\n'
    text = template(made) + after
    return before + (f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n" if condition else text)


def _certificates(found: ClusterObjects, own: Sequence[Object]) -> list[Object]:
    """The ConfigMap that the agent's pods mount and that all agents share."""
    mounted = {
        source["name"]
        for each in own
        for spec in pod_specs(each)
        for volume in spec["volumes"]
        if volume["name"] == "certificates"
        for source in config_maps_of(volume)
    }
    return [
        each for each in found.objects if each["kind"] == "ConfigMap" and each["metadata"]["name"] in mounted
    ]


def _add_certificates(chart: Chart, manifest: Object) -> None:
    chart.value("database.certificates.create", True)
    chart.templates["database-certificates"] = {
        **manifest,
        "metadata": {
            "name": chart.scalar("database.certificates.name", manifest["metadata"]["name"]),
            "namespace": NAMESPACE,
            "labels": release_labels(manifest["metadata"]["labels"]),
        },
        "data": chart.block("database.certificates.data", manifest["data"]),
    }
    chart.conditions["database-certificates"] = (
        "and .Values.database.certificates.create .Values.database.certificates.name"
    )


def _stand_alone(chart: Chart) -> None:
    """What a cluster without AWS needs besides."""
    small: dict[str, Any] = {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"cpu": "1000m", "memory": "512Mi"},
    }
    chart.value("fullnameOverride", "")
    chart.value("secrets.source", "secretsManager")
    chart.value("secrets.existingSecret", "")
    chart.value("secrets.existingMigrationSecret", "")
    chart.value("secrets.secretStoreRef", {"kind": "ClusterSecretStore", "name": ""})
    chart.value("secrets.refreshInterval", "1h")
    for name, image in {"postgresql": POSTGRES["17"], "valkey": VALKEY}.items():
        chart.value(
            name,
            {
                "enabled": False,
                "image": f"docker.io/{image if '/' in image else f'library/{image}'}",
                "storage": "8Gi",
                "storageClassName": "",
                "resources": small,
            },
        )
