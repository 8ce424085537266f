"""The values of the webhook, each switched: with the operator's own values they are all that the chart has."""

from __future__ import annotations

from typing import Any

from .chart import Switch, values_of

PEER = {"ipBlock": {"cidr": "10.9.8.0/24"}}
RELABELING = {"action": "labeldrop", "regex": "pod"}
ON: dict[str, Any] = {"webhook.enabled": True, "webhook.tls.secretName": "webhook-tls"}
INGRESS = {**ON, "webhook.ingress.enabled": True, "webhook.ingress.host": "evs.example.com"}
ROUTE = {**ON, "webhook.httpRoute.enabled": True, "webhook.httpRoute.parentRefs": [{"name": "public"}]}
MONITOR = {**ON, "webhook.serviceMonitor.enabled": True}
TWO = {**ON, "webhook.replicaCount": 2}


def _on(value: Any, shows: str = "", hides: str = "", beside: dict[str, Any] = ON) -> Switch:
    return Switch(value, shows, hides, beside, alone=True)


WEBHOOK_SWITCHES = {
    "webhook.enabled": Switch(True, "- webhook\n", beside={"webhook.tls.secretName": "t"}, alone=True),
    "webhook.replicaCount": _on(7, "replicas: 7"),
    "webhook.tls.secretName": _on("other-tls", 'secretName: "other-tls"'),
    "webhook.plainHttp": _on(True, "- --plain-http", "--tls-cert-file"),
    "webhook.maxWaitSeconds": _on(60, "--max-wait-seconds=60"),
    "webhook.maxWaiters": _on(5000, "--max-waiters=5000"),
    "webhook.extraArgs": _on(["--kubeconfig=/k"], "- --kubeconfig=/k"),
    "webhook.resources": _on({"limits": {"memory": "3Gi"}}, "memory: 3Gi"),
    "webhook.serviceAccount.create": _on(
        False, "serviceAccountName: default", "kind: ServiceAccount\nmetadata:\n  name: evs-operator-webhook"
    ),
    "webhook.serviceAccount.name": _on("door", "serviceAccountName: door"),
    "webhook.serviceAccount.annotations": _on({"example.com/of": "door"}, "example.com/of: door"),
    "webhook.podAnnotations": _on({"example.com/is": "door"}, "example.com/is: door"),
    "webhook.podLabels": _on({"example.com/colour": "red"}, "example.com/colour: red"),
    "webhook.service.type": _on("LoadBalancer", "type: LoadBalancer"),
    "webhook.service.port": _on(9443, "port: 9443"),
    "webhook.service.annotations": _on({"example.com/lb": "door"}, "example.com/lb: door"),
    "webhook.callersFrom": _on([PEER], "cidr: 10.9.8.0/24", beside={**ON, "networkPolicy.enabled": True}),
    "webhook.ingress.enabled": _on(True, "kind: Ingress", beside={**ON, "webhook.ingress.host": "evs.example.com"}),
    "webhook.ingress.className": _on("nginx", "ingressClassName: nginx", beside=INGRESS),
    "webhook.ingress.annotations": _on({"example.com/i": "door"}, "example.com/i: door", beside=INGRESS),
    "webhook.ingress.host": _on("jobs.example.com", 'host: "jobs.example.com"', beside=INGRESS),
    "webhook.ingress.tlsSecretName": _on("host-tls", "secretName: host-tls", beside=INGRESS),
    "webhook.httpRoute.enabled": _on(
        True, "kind: HTTPRoute", beside={**ON, "webhook.httpRoute.parentRefs": [{"name": "public"}]}
    ),
    "webhook.httpRoute.annotations": _on({"example.com/r": "door"}, "example.com/r: door", beside=ROUTE),
    "webhook.httpRoute.parentRefs": _on([{"name": "inner"}], "name: inner", beside=ROUTE),
    "webhook.httpRoute.hostnames": _on(["jobs.example.com"], "- jobs.example.com", beside=ROUTE),
    "webhook.podDisruptionBudget.enabled": _on(True, "kind: PodDisruptionBudget", beside=TWO),
    "webhook.podDisruptionBudget.maxUnavailable": _on(
        "51%", "maxUnavailable: 51%", beside={**TWO, "webhook.podDisruptionBudget.enabled": True}
    ),
    "webhook.serviceMonitor.enabled": _on(True, "kind: ServiceMonitor"),
    "webhook.serviceMonitor.labels": _on({"found": "by"}, "found: by", beside=MONITOR),
    "webhook.serviceMonitor.interval": _on("19s", "interval: 19s", beside=MONITOR),
    "webhook.serviceMonitor.scrapeTimeout": _on("9s", "scrapeTimeout: 9s", beside=MONITOR),
    "webhook.serviceMonitor.relabelings": _on([RELABELING], " relabelings:", beside=MONITOR),
    "webhook.serviceMonitor.metricRelabelings": _on([RELABELING], "metricRelabelings:", beside=MONITOR),
}


def webhook_with_everything() -> dict[str, Any]:
    """Return all values of the webhook other than their defaults, but for those that take away what others need."""
    left = {"webhook.plainHttp", "webhook.serviceAccount.create"}
    chosen = {path: switch for path, switch in WEBHOOK_SWITCHES.items() if path not in left}
    beside = [dict(switch.beside) for switch in chosen.values()]
    return values_of(*beside, {path: switch.value for path, switch in chosen.items()})
