"""The SecretProviderClass: which Secrets Manager entries the CSI driver mounts into a pod, and under which names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

API_VERSION = "secrets-store.csi.x-k8s.io/v1"


@dataclass(frozen=True, kw_only=True)
class SecretMountArgs:
    """Which entries become which files."""

    namespace: pulumi.Input[str]
    class_name: str
    """metadata.name."""
    region: str
    labels: Mapping[str, str]
    files: Mapping[str, pulumi.Input[str]]
    """ARNs of Secrets Manager entries, by the name of the file that each becomes."""
    crds_ready: pulumi.Resource | None
    """The add-on that brings the driver and its kinds; None where they are there already."""

    def __post_init__(self) -> None:
        if not self.files:
            raise ValueError("files is empty: a SecretProviderClass mounts at least one entry")


class SecretMount(pulumi.ComponentResource):
    """Mounts entries of Secrets Manager as files, read with the pod's own identity and re-read as they rotate."""

    class_name: pulumi.Output[str]

    def __init__(self, name: str, args: SecretMountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:SecretMount", name, None, opts)
        names = sorted(args.files)
        # The AWS provider reads YAML, of which JSON is a part.
        objects = pulumi.Output.all(*[args.files[file] for file in names]).apply(
            lambda arns: json.dumps(
                [
                    {"objectName": arn, "objectType": "secretsmanager", "objectAlias": file}
                    for file, arn in zip(names, arns, strict=True)
                ]
            )
        )
        provider_class = k8s.apiextensions.CustomResource(
            f"{name}-class",
            api_version=API_VERSION,
            kind="SecretProviderClass",
            metadata={"name": args.class_name, "namespace": args.namespace, "labels": dict(args.labels)},
            spec={
                "provider": "aws",
                "parameters": {"region": args.region, "usePodIdentity": "true", "objects": objects},
            },
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[args.crds_ready] if args.crds_ready else None
            ),
        )
        # The name is known beforehand; its URN makes resources that use it wait for the object.
        self.class_name = provider_class.urn.apply(lambda _: args.class_name)
        self.register_outputs({"class_name": self.class_name})
