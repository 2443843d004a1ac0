"""What is shipped for Kubernetes fits together, and the bridge takes it for its configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import bridge
from tests.install.test_deploy import run
from tests.install.test_environment import ROOT

pytestmark = pytest.mark.kubectl

KUSTOMIZE = ROOT / "deploy" / "kustomize"


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    """What the example for Kubernetes is made of."""
    return list(yaml.safe_load_all(run("kubectl", "kustomize", KUSTOMIZE / "example")))


def of_kind(resources: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The bridge's resource of this kind."""
    return next(
        one
        for one in resources
        if one["kind"] == kind and one["metadata"]["name"].startswith("assessment-bridge")
    )


def test_kubernetes_resources_fit_together(resources: list[dict[str, Any]]) -> None:
    """Every selector finds the pods, every mounted map and secret is one that exists or is said to
    be made, and the version is the bridge's.
    """
    deployment = of_kind(resources, "Deployment")
    template = deployment["spec"]["template"]
    name = {"app.kubernetes.io/name": "assessment-bridge"}
    assert (
        template["metadata"]["labels"].items()
        >= {
            **name,
            "app.kubernetes.io/version": bridge.__version__,
        }.items()
    )
    for kind, place in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        assert of_kind(resources, kind)["spec"][place] == {"matchLabels": name}
    services = [one for one in resources if one["kind"] == "Service"]
    assert [service["spec"]["selector"] for service in services] == [name, name]
    wanted = of_kind(resources, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert [
        service["metadata"]["name"]
        for service in services
        if service["metadata"]["labels"].items() >= wanted.items()
    ] == ["assessment-bridge-admin"]
    maps = {one["metadata"]["name"] for one in resources if one["kind"] == "ConfigMap"}
    volumes = template["spec"]["volumes"]
    (container,) = template["spec"]["containers"]
    used = {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}
    used |= {source["configMapRef"]["name"] for source in container["envFrom"]}
    assert used == maps
    assert container["image"].endswith(f":{bridge.__version__}")


def test_pods_are_restricted(resources: list[dict[str, Any]]) -> None:
    """A pod runs as nobody, writes nothing but /tmp, has no token, and is probed without Redis."""
    spec = of_kind(resources, "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert not [one for one in container.get("env", ()) if "value" in one]


def test_the_bridge_takes_kubernetes_configuration(
    resources: list[dict[str, Any]], tmp_path: Path
) -> None:
    """What a pod sees, customers behind the kubelet's links, is a valid configuration."""
    maps = {one["metadata"]["name"]: one["data"] for one in resources if one["kind"] == "ConfigMap"}
    environ = maps.pop(next(name for name in maps if "environment" in name))
    customers = maps.pop("assessment-bridge-customers")
    (bridge_yaml,) = maps.values()
    secrets = tmp_path / "secrets"
    version = tmp_path / "config" / "customers" / "..2026_11_27"
    for folder in (version, secrets / "bridge", secrets / "customers"):
        folder.mkdir(parents=True)
    data = version.parent / "..data"
    data.symlink_to(version.name)

    def here(text: str) -> str:
        return text.replace("/run/secrets", str(secrets))

    (tmp_path / "config" / "bridge.yaml").write_text(here(bridge_yaml["bridge.yaml"]))
    for name, text in customers.items():
        (version / name).write_text(here(text))
        (version.parent / name).symlink_to(f"..data/{name}")
    key = run(sys.executable, "-m", "bridge", "key", "new")
    for name, text in {
        "bridge/signing-keys": key,
        "bridge/encryption-keys": key,
        "bridge/redis-url": "redis://redis:6379/0",
        "customers/acme": "a-client-secret",
    }.items():
        (secrets / name).write_text(text)
        (secrets / name).chmod(0o440)
    said = run(sys.executable, "-m", "bridge", "check", "--config", tmp_path / "config", **environ)
    assert "1 customer" in said
