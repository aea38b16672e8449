"""Which places of an agent's objects are values of its chart. What a value is by default is what stands there."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from manifests.chart.template import Hole, action, block, expression, given, included, lines, optional, when
from manifests.objects import Object, with_texts

_FULLNAME = expression('include "agent.fullname" .')
NAMESPACE = expression(".Release.Namespace")
_CHART = expression('include "agent.chart" .')
_RELEASE = {
    "app.kubernetes.io/instance": expression(".Release.Name"),
    "app.kubernetes.io/managed-by": expression(".Release.Service"),
}
_NAME = "app.kubernetes.io/name"
_MIDDLEWARES = "traefik.ingress.kubernetes.io/router.middlewares"
# Where an agent's name, or one that begins with it, names an object: the key above, and the key itself.
_NAMING = frozenset(
    {
        ("metadata", "name"),
        ("configMapRef", "name"),
        ("scaleTargetRef", "name"),
        ("horizontalPodAutoscalerConfig", "name"),
        ("service", "name"),
        ("labels", _NAME),
        ("matchLabels", _NAME),
        ("selector", _NAME),
        ("spec", "serviceAccountName"),
        ("volumeAttributes", "secretProviderClass"),
        ("tls", "secretName"),
    }
)
_PLACEMENT = ("imagePullSecrets", "nodeSelector", "priorityClassName", "tolerations", "affinity")
_IMAGE = ("repository", "tag", "digest")
_ENTRY = {"objectName", "objectType", "objectAlias"}


@dataclass
class Chart:
    """The templates of a chart by their files, and its values; both are filled by `add`."""

    agent: str
    namespace: str
    templates: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    """When there is such an object at all."""
    values: dict[str, Any] = field(default_factory=dict)

    def value(self, path: str, default: Any) -> str:
        """Have a value, and return the expression of it.

        Raises:
            ValueError: it has another default already.
        """
        *above, last = path.split(".")
        place = self.values
        for key in above:
            place = place.setdefault(key, {})
        if place.setdefault(last, default) != default:
            raise ValueError(f"{path} is {place[last]!r} and {default!r}")
        return f".Values.{path}"

    def scalar(self, path: str, default: Any) -> str:
        """Likewise, as a text that Helm fills in."""
        return expression(self.value(path, default))

    def block(self, path: str, default: Any) -> Hole:
        """Likewise, of lists and mappings."""
        return block(self.value(path, default))

    def optional(self, path: str, default: Any) -> Hole:
        """Likewise; where it is empty, nothing is written."""
        self.value(path, default)
        return optional(path)


def add(chart: Chart, manifest: Object) -> None:
    """Make a template of one object of the agent."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    suffix = name.removeprefix(chart.agent)
    made = _named(chart, with_texts(manifest, str))
    made["metadata"] = {"name": "", "namespace": "", **made["metadata"]}
    made["metadata"]["namespace"] = NAMESPACE
    made["metadata"]["labels"]["helm.sh/chart"] = _CHART
    maker = _MAKERS.get(kind)
    file = f"{_FILES.get(kind, kind.lower())}{suffix}"
    if maker is not None:
        condition = maker(chart, made, suffix)
        file = "migration-job" if kind == "Job" else file
        if condition:
            chart.conditions[file] = condition
    chart.templates[file] = made


def _named(chart: Chart, content: Any, above: str = "", key: str = "") -> Any:
    """The object by the names of its release."""
    if isinstance(content, dict):
        inner = {k: _named(chart, v, key, k) for k, v in content.items()}
        return _of_release(inner) if key == "labels" else inner
    if isinstance(content, list):
        return [_named(chart, each, above, key) for each in content]
    if not isinstance(content, str):
        return content
    if (above, key) in _NAMING and (content == chart.agent or content.startswith(f"{chart.agent}-")):
        return _FULLNAME + content.removeprefix(chart.agent)
    for joined in ("{0}.{1}.svc", "{1}-{0}-"):
        content = content.replace(
            joined.format(chart.agent, chart.namespace), joined.format(_FULLNAME, NAMESPACE)
        )
    return content


def release_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of an object as its release has them."""
    return {**_of_release(labels), "helm.sh/chart": _CHART}


def _of_release(labels: Mapping[str, str]) -> dict[str, str]:
    return {label: _RELEASE.get(label, text) for label, text in labels.items()}


def _prefix(suffix: str) -> str:
    """Above the values of the pods that execute runs, where an agent has some."""
    return "worker." if suffix == "-worker" else ""


def _deployment(chart: Chart, made: Object, suffix: str) -> str:
    prefix, template = _prefix(suffix), made["spec"]["template"]
    replicas = chart.value(f"{prefix}replicaCount", 1)
    made["spec"]["replicas"] = when(f"not .Values.{prefix}autoscaling.enabled", action(replicas))
    annotations = template["metadata"]["annotations"]
    config = f'include (print $.Template.BasePath "/configmap{suffix}.yaml") . | sha256sum | trunc 16 | quote'
    annotations["checksum/config"] = expression(config)
    _pod(chart, template, f"{prefix}resources")
    spec = template["spec"]
    # Stores that the stack has elsewhere are in its zones; other clusters may have none.
    spread = spec["topologySpreadConstraints"]
    chart.value("topologySpread", {"zones": True, "nodes": True})
    spec["topologySpreadConstraints"] = [
        when(f".Values.topologySpread.{'zones' if each['topologyKey'].endswith('zone') else 'nodes'}", each)
        for each in spread
    ]
    spec["terminationGracePeriodSeconds"] = chart.scalar(
        "lifetimes.gracePeriod", spec["terminationGracePeriodSeconds"]
    )
    if not prefix:
        container = spec["containers"][0]
        if lifecycle := container.get("lifecycle"):
            sleep = lifecycle["preStop"]["sleep"]
            sleep["seconds"] = chart.scalar("lifetimes.preStop", sleep["seconds"])
        chart.value("readyPath", container["readinessProbe"]["httpGet"]["path"])
    return ""


def _pod(chart: Chart, template: Object, resources: str, suffix: str = "") -> None:
    """What all pods of an agent have."""
    annotations = template.get("metadata", {}).get("annotations", {})
    if "checksum/secrets" in annotations:
        annotations["checksum/secrets"] = expression(f"{chart.value('secrets.version', '1')} | quote")
    spec = template["spec"]
    for key in _PLACEMENT:
        empty: Any = "" if key == "priorityClassName" else {} if key in {"nodeSelector", "affinity"} else []
        chart.value(key, spec.get(key, empty))
        spec[key] = given(key) if key == "priorityClassName" else optional(key)
    container = spec["containers"][0]
    # LangGraph's Agent Server does not migrate: the service's image does.
    other = suffix and _parts(container["image"]) != {k: chart.values["image"][k] for k in _IMAGE}
    above = "migration." if other else ""
    for key, part in _parts(container["image"]).items():
        chart.value(f"{above}image.{key}", part)
    container["image"] = expression(
        f'include "agent.image" {"(dict `Values` .Values.migration)" if other else "."}'
    )
    container["imagePullPolicy"] = chart.scalar("image.pullPolicy", container["imagePullPolicy"])
    container["resources"] = chart.block(resources, container["resources"])
    chart.value("serviceAccount.create", True)
    spec["volumes"] = [_volume(chart, each, suffix) for each in spec["volumes"]]
    container["volumeMounts"] = [
        when(".Values.database.certificates.name", each) if each["name"] == "certificates" else each
        for each in container["volumeMounts"]
    ]
    if "serviceAccountName" in spec:
        spec["serviceAccountName"] = when(".Values.serviceAccount.create", spec["serviceAccountName"])


def _volume(chart: Chart, volume: Object, suffix: str) -> Any:
    if volume["name"] == "secrets" and "csi" in volume:
        return included(f'include "agent.secretsVolume" (list . "{suffix}")')
    if volume["name"] != "certificates":
        return volume
    for source in config_maps_of(volume):
        source["name"] = chart.scalar("database.certificates.name", source["name"])
    return when(".Values.database.certificates.name", volume)


def config_maps_of(volume: Object) -> list[Object]:
    """What a volume has of ConfigMaps, whether alone or beside others."""
    sources = [volume, *volume.get("projected", {}).get("sources", ())]
    return [each["configMap"] for each in sources if "configMap" in each]


def _parts(image: str) -> dict[str, str]:
    """An image's name, taken apart into values."""
    name, _, digest = image.partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, ""
    return dict(zip(_IMAGE, (repository, tag, digest), strict=True))


def _job(chart: Chart, made: Object, suffix: str) -> str:
    # Without the digest that Pulumi's provider ends it with.
    made["metadata"]["name"] = made["metadata"]["name"].rpartition("-")[0]
    _pod(chart, made["spec"]["template"], "migration.resources", "-migrate")
    chart.value("migration.enabled", True)
    return ".Values.migration.enabled"


def _cron_job(chart: Chart, made: Object, suffix: str) -> str:
    template = made["spec"]["jobTemplate"]["spec"]["template"]
    _pod(chart, template, "prune.resources")
    made["spec"]["schedule"] = expression(
        f"{chart.value('prune.schedule', made['spec']['schedule'])} | quote"
    )
    command = template["spec"]["containers"][0]["command"]
    command[-1] = f"{chart.scalar('prune.olderThanDays', int(command[-1].removesuffix('d')))}d"
    chart.value("prune.enabled", True)
    return ".Values.prune.enabled"


def _config_map(chart: Chart, made: Object, suffix: str) -> str:
    data = made["data"]
    path = {"": "config", "-worker": "worker.config", "-migrate": "migration.config"}[suffix]
    derived = ""
    if "DRAIN_TIMEOUT_SECONDS" in data:
        # The service has so long for its runs once it is asked to stop: what the pod has, less the sleep before.
        lifetimes = _lifetimes(chart)
        margin = lifetimes["gracePeriod"] - lifetimes["preStop"] - int(data.pop("DRAIN_TIMEOUT_SECONDS"))
        chart.value("lifetimes.runTimeout", int(data.pop("RUN_TIMEOUT_SECONDS")))
        drain = f"sub (sub (int .Values.lifetimes.gracePeriod) (int .Values.lifetimes.preStop)) {margin}"
        derived = (
            f"DRAIN_TIMEOUT_SECONDS: {{{{ {drain} | quote }}}}\n"
            "RUN_TIMEOUT_SECONDS: {{ .Values.lifetimes.runTimeout | quote }}"
        )
    if suffix == "-migrate" and chart.values.get("config") == data:
        path = "config"
    made["data"] = lines(f"{{{{- toYaml {chart.value(path, data)} | nindent 2 }}}}\n{derived}".strip())
    return ".Values.migration.enabled" if suffix == "-migrate" else ""


def _lifetimes(chart: Chart) -> dict[str, int]:
    found: dict[str, int] = chart.values["lifetimes"]
    return found


def _autoscaler(chart: Chart, made: Object, suffix: str) -> str:
    prefix, spec = _prefix(suffix), made["spec"]
    spec["minReplicas"] = chart.scalar(f"{prefix}autoscaling.minReplicas", spec["minReplicas"])
    spec["maxReplicas"] = chart.scalar(f"{prefix}autoscaling.maxReplicas", spec["maxReplicas"])
    for metric in spec["metrics"]:
        target, what = metric["resource"]["target"], metric["resource"]["name"]
        path = f"{prefix}autoscaling.target{ {'cpu': 'CPU', 'memory': 'Memory'}[what] }UtilizationPercentage"
        target["averageUtilization"] = chart.scalar(path, target["averageUtilization"])
    spec["behavior"] = chart.block(f"{prefix}autoscaling.behavior", spec["behavior"])
    chart.value(f"{prefix}autoscaling.enabled", True)
    return f".Values.{prefix}autoscaling.enabled"


def _scaled_object(chart: Chart, made: Object, suffix: str) -> str:
    prefix, spec = _prefix(suffix), made["spec"]
    spec["minReplicaCount"] = chart.scalar(f"{prefix}autoscaling.minReplicas", spec["minReplicaCount"])
    spec["maxReplicaCount"] = chart.scalar(f"{prefix}autoscaling.maxReplicas", spec["maxReplicaCount"])
    chart.value(f"{prefix}autoscaling.enabled", True)
    return f".Values.{prefix}autoscaling.enabled"


def _budget(chart: Chart, made: Object, suffix: str) -> str:
    spec = made["spec"]
    spec["maxUnavailable"] = chart.scalar("podDisruptionBudget.maxUnavailable", spec["maxUnavailable"])
    chart.value("podDisruptionBudget.enabled", True)
    return ".Values.podDisruptionBudget.enabled"


def _service(chart: Chart, made: Object, suffix: str) -> str:
    made["spec"]["type"] = chart.scalar("service.type", made["spec"]["type"])
    port = made["spec"]["ports"][0]
    port["port"] = chart.scalar("service.port", port["port"])
    return ""


def _ingress(chart: Chart, made: Object, suffix: str) -> str:
    annotations, spec = made["metadata"]["annotations"], made["spec"]
    middlewares = annotations.pop(_MIDDLEWARES, "")
    limit = ""
    if middlewares:
        limit = (
            f"{{{{- if .Values.rateLimit.enabled }}}}\n{_MIDDLEWARES}: {_plain(middlewares)}\n{{{{- end }}}}"
        )
    own = chart.value("ingress.annotations", annotations)
    made["metadata"]["annotations"] = lines(f"{{{{- toYaml {own} | nindent 4 }}}}\n{limit}".strip())
    spec["ingressClassName"] = chart.scalar("ingress.className", spec["ingressClassName"])
    for rule in spec["rules"]:
        rule["host"] = chart.scalar("ingress.host", rule["host"])
        for path in rule["http"]["paths"]:
            port = path["backend"]["service"]["port"]
            if "number" in port:
                port["number"] = expression(".Values.service.port")
    for each in spec.get("tls", ()):
        each["hosts"] = [chart.scalar("ingress.host", host) for host in each["hosts"]]
    chart.value("ingress.enabled", True)
    return ".Values.ingress.enabled"


def _plain(text: str) -> str:
    """A text with expressions, as it stands in a template."""
    return re.sub(r"expression-([0-9a-f]+)-here", lambda m: f"{{{{ {bytes.fromhex(m[1]).decode()} }}}}", text)


def _middleware(chart: Chart, made: Object, suffix: str) -> str:
    limit = made["spec"]["rateLimit"]
    for key in ("average", "burst"):
        limit[key] = chart.scalar(f"rateLimit.{key}", limit[key])
    chart.value("rateLimit.enabled", True)
    return "and .Values.ingress.enabled .Values.rateLimit.enabled"


def _network_policy(chart: Chart, made: Object, suffix: str) -> str:
    for direction in ("ingress", "egress"):
        if direction in made["spec"]:
            path = f"networkPolicy.{suffix.removeprefix('-')}.{direction}"
            made["spec"][direction] = chart.block(path, made["spec"][direction])
    chart.value("networkPolicy.enabled", True)
    return ".Values.networkPolicy.enabled"


def _service_account(chart: Chart, made: Object, suffix: str) -> str:
    annotations = made["metadata"].get("annotations", {})
    path = "migration.serviceAccountAnnotations" if suffix else "serviceAccount.annotations"
    made["metadata"]["annotations"] = chart.optional(path, annotations)
    return (
        ".Values.serviceAccount.create"
        if not suffix
        else "and .Values.serviceAccount.create .Values.migration.enabled"
    )


def _provider_class(chart: Chart, made: Object, suffix: str) -> str:
    parameters = made["spec"]["parameters"]
    objects = json.loads(parameters["objects"])
    if any(set(each) != _ENTRY for each in objects):
        raise ValueError(f"a SecretProviderClass has other keys than {sorted(_ENTRY)}")
    entries = {each["objectAlias"]: each["objectName"] for each in objects}
    path = chart.value("secrets.migrationEntries" if suffix else "secrets.entries", entries)
    parameters["objects"] = expression(f'include "agent.secretObjects" {path} | squote')
    parameters["region"] = chart.scalar("secrets.region", parameters["region"])
    source = 'eq .Values.secrets.source "secretsManager"'
    return f"and ({source}) .Values.migration.enabled" if suffix else source


_FILES = {
    "HorizontalPodAutoscaler": "hpa",
    "PodDisruptionBudget": "pdb",
    "Job": "job",
    "CronJob": "cronjob",
}

_MAKERS = {
    "Deployment": _deployment,
    "Job": _job,
    "CronJob": _cron_job,
    "ConfigMap": _config_map,
    "HorizontalPodAutoscaler": _autoscaler,
    "ScaledObject": _scaled_object,
    "PodDisruptionBudget": _budget,
    "Service": _service,
    "Ingress": _ingress,
    "Middleware": _middleware,
    "NetworkPolicy": _network_policy,
    "ServiceAccount": _service_account,
    "SecretProviderClass": _provider_class,
}
