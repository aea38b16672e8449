"""Definitions that the sandbox takes from the projects that publish them, out of pinned Go modules.

The API server then judges a Middleware or a Certificate by the very schema that the real add-on brings.
"""

import json
import shutil
from pathlib import Path

import yaml

from sandbox.binaries.golang import Go
from sandbox.common.errors import SandboxError

_OWN = Path(__file__).parent

_TRAEFIK = "docs/content/reference/dynamic-configuration/traefik.io_*.yaml"
_PROMETHEUS = "example/prometheus-operator-crd/monitoring.coreos.com_"
_KEDA = "github.com/kedacore/keda/v2"

# Requirement in `go/<folder>/go.mod`, its files, and the folder of the cache that they go to.
PUBLISHED = (
    ("manifests", "github.com/cert-manager/cert-manager", "deploy/crds/cert-manager.io_*.yaml", "crds"),
    ("manifests", "github.com/traefik/traefik/v3", _TRAEFIK, "crds"),
    ("manifests", _KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml", "crds"),
    # Of no use to anybody but KEDA itself, which watches all of its kinds.
    ("manifests", _KEDA, "config/crd/bases/*.yaml", "keda/crds"),
    ("manifests", _KEDA, "config/rbac/role*.yaml", "keda/operator"),
    ("manifests", _KEDA, "config/metrics-server/role*.yaml", "keda/metrics"),
    ("manifests", _KEDA, "config/webhooks/validation_webhooks.yaml", "keda/webhooks"),
    ("manifests", "github.com/aws/karpenter-provider-aws", "pkg/apis/crds/karpenter.*.yaml", "crds"),
    (
        "manifests",
        "github.com/prometheus-operator/prometheus-operator",
        f"{_PROMETHEUS}*monitors.yaml",
        "crds",
    ),
    (
        "manifests",
        "github.com/prometheus-operator/prometheus-operator",
        f"{_PROMETHEUS}prometheusrules.yaml",
        "crds",
    ),
    ("kubernetes", "sigs.k8s.io/kwok", "kustomize/stage/node/fast/node-*.yaml", "stages"),
    ("kubernetes", "sigs.k8s.io/kwok", "kustomize/stage/node/heartbeat-with-lease/node-*.yaml", "stages"),
    ("kubernetes", "sigs.k8s.io/kwok", "kustomize/stage/pod/fast/pod-*.yaml", "stages"),
)


def collect(go: Go, modules: Path, target: Path) -> None:
    """Write the published definitions and this project's own into folders of `target`: `crds`, `stages`, `keda`.

    Raises:
        SandboxError: a module could not be downloaded, or its files are not where they were.
    """
    for folder, requirement, pattern, kind in PUBLISHED:
        module = json.loads(go.run("mod", "download", "-json", requirement, folder=modules / folder))
        found = sorted(Path(module["Dir"]).glob(pattern))
        if not found:
            raise SandboxError(
                f"{requirement} {module['Version']} has no {pattern}: its layout changed, see {__file__}"
            )
        (target / kind).mkdir(parents=True, exist_ok=True)
        for file in found:
            _place(file, target / kind)
    for kind in ("crds", "stages"):
        for file in sorted((_OWN / kind).glob("*.yaml")):
            _place(file, target / kind)


def own_content() -> str:
    """What of this project goes into the folder, for the folder's name."""
    files = sorted(file for kind in ("crds", "stages") for file in (_OWN / kind).glob("*.yaml"))
    return repr(PUBLISHED) + "".join(file.read_text() for file in files)


def _place(file: Path, folder: Path) -> None:
    if folder.name == "crds":
        # JSON parses a hundred times faster, and each start of a control plane reads all of them.
        loaded = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        (folder / f"{file.stem}.json").write_text(json.dumps(loaded))
    else:
        shutil.copyfile(file, folder / file.name)
