# Written as a user writes: plain dictionaries, which the generated overloads are too narrow for.
# mypy: disable-error-code="call-overload"
"""A program with one of each: what the engine, the API server and the stand-ins have to get right together."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pulumi_random as random

config = pulumi.Config()
settings = config.require_object("settings")
if settings["colour"] not in {"blue", "green"}:
    raise pulumi.RunError(f"settings.colour is {settings['colour']!r}: use blue or green")

opts = pulumi.ResourceOptions(provider=k8s.Provider("cluster", kubeconfig="{}"))
vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=pulumi.ResourceOptions(protect=True))
password = random.RandomPassword("password", length=32, special=False)

namespace = k8s.core.v1.Namespace(
    "namespace",
    metadata={"name": "small", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    opts=opts,
)
within = {"namespace": namespace.metadata["name"]}
labels = {"app": settings["role"]}
security = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(command: str, restart_policy: str) -> dict[str, object]:
    container = {
        "name": "main",
        "image": f"registry.example.com/small@sha256:{'0' * 64}",
        "args": [command],
        "envFrom": [{"configMapRef": {"name": named.metadata["name"]}}],
        "securityContext": security,
    }
    return {
        "metadata": {"labels": labels},
        "spec": {"restartPolicy": restart_policy, "containers": [container]},
    }


named = k8s.core.v1.ConfigMap(
    "settings", metadata=within, data={"colour": settings["colour"], "vpc": vpc.id}, immutable=True, opts=opts
)
keys = config.require_secret_object("apiKeys")
k8s.core.v1.Secret(
    "keys",
    metadata={**within, "name": "keys"},
    string_data={"password": password.result, "key": keys.apply(lambda values: values["OPENAI_API_KEY"])},
    opts=opts,
)
job = k8s.batch.v1.Job(
    "migrate",
    metadata={**within, "name": "migrate"},
    spec={"template": pod(settings["command"], settings["restartPolicy"])},
    opts=opts,
)
deployment = k8s.apps.v1.Deployment(
    "server",
    metadata={**within, "name": "server"},
    spec={"replicas": 3, "selector": {"matchLabels": labels}, "template": pod("serve", "Always")},
    opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[job])),
)
k8s.core.v1.Service(
    "service",
    metadata={**within, "name": "server"},
    spec={"selector": labels, "ports": [{"port": 80}]},
    opts=opts,
)
k8s.apiextensions.CustomResource(
    "limit",
    api_version="traefik.io/v1alpha1",
    kind="Middleware",
    metadata={**within, "name": "limit"},
    spec={"rateLimit": {"average": 10}},
    opts=opts,
)
previous: pulumi.Resource = namespace
for index in range(settings["extras"]):
    # One after the other: an update long enough to be killed in the middle.
    previous = k8s.core.v1.ConfigMap(
        f"extra-{index}",
        metadata={**within, "name": f"extra-{index}"},
        data={"index": str(index)},
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[previous])),
    )

pulumi.export("vpc", vpc.id)
pulumi.export("password", password.result)
pulumi.export("config", named.metadata["name"])
