"""Calls on the group's own objects, Secrets and namespaces: paths, verbs and preconditions in one place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from evs_operator.api.names import (
    API_VERSION,
    CLUSTER_EVS_CONNECTION,
    EVS_JOB,
    FIELD_MANAGER,
    GROUP,
    PLURALS,
    VERSION,
)
from evs_operator.api.object_names import is_namespace_name, is_object_name
from evs_operator.api.stored import mapping
from evs_operator.observe.wording import Ours

from .api import METADATA, METADATA_LIST, KubeApi, KubeError
from .listing import pages

_GROUP_PATH: Final = f"/apis/{GROUP}/{VERSION}"


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Names one object of the group; `namespace` is "" for a cluster-scoped kind."""

    kind: str
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Path of the object below the API server's address; raises KubeError for what no name can be."""
        plural = PLURALS[self.kind]
        if self.kind == CLUSTER_EVS_CONNECTION:
            return f"{_GROUP_PATH}/{plural}/{_name(self.name)}"
        return f"{_GROUP_PATH}{_within(self.namespace)}/{plural}/{_name(self.name)}"


@dataclass(frozen=True, slots=True)
class Listed:
    """Identity of one listed object."""

    uid: str
    namespace: str
    resource_version: str


async def apply_status(api: KubeApi, key: ObjectKey, status: Mapping[str, object], resource_version: str) -> str:
    """Apply a complete status to the object that was decided on; return its new resourceVersion.

    Server-side apply with the resourceVersion: a stale one, so also that of a namesake created since, is
    refused with 409 (`metadata.uid` would not be checked); an absent object is 404 and is not created.
    """
    metadata: dict[str, str] = {"name": key.name, "resourceVersion": resource_version}
    if key.namespace:
        metadata["namespace"] = key.namespace
    answer = await api.request(
        "PATCH",
        f"{key.path}/status",
        params={"fieldManager": FIELD_MANAGER, "force": "true"},
        body={"apiVersion": API_VERSION, "kind": key.kind, "metadata": metadata, "status": status},
        content_type="application/apply-patch+yaml",
        accept=f"{METADATA},application/json",
    )
    version = mapping(answer.get("metadata")).get("resourceVersion")
    if not version:
        raise _not_ours("PATCH", f"{key.path}/status")
    return str(version)


async def read(api: KubeApi, key: ObjectKey) -> dict[str, object]:
    """Return one object whole."""
    body = await api.request("GET", key.path)
    if not mapping(body.get("metadata")).get("uid"):
        raise _not_ours("GET", key.path)
    return body


async def delete(api: KubeApi, key: ObjectKey, uid: str) -> None:
    """Delete that very object: a namesake with another uid is left alone (409)."""
    await api.request(
        "DELETE", key.path, body={"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
    )


def collection_path(kind: str, namespace: str | None) -> str:
    """Path of all objects of a kind, in one namespace or (None) in all; raises KubeError for what no name can be."""
    return f"{_GROUP_PATH}{_within(namespace) if namespace else ''}/{PLURALS[kind]}"


async def list_jobs(api: KubeApi, namespace: str | None) -> AsyncIterator[Listed]:
    """Yield the identity of every EvsJob, metadata only and in pages."""
    async for page in pages(api, collection_path(EVS_JOB, namespace), f"{METADATA_LIST},application/json"):
        for item in page.items:
            metadata = mapping(item.get("metadata"))
            yield Listed(str(metadata.get("uid")), str(metadata.get("namespace")), str(metadata.get("resourceVersion")))


async def list_connections(api: KubeApi, kind: str, namespace: str | None) -> AsyncIterator[Mapping[str, object]]:
    """Yield all connections of one kind, whole, in pages."""
    async for page in pages(api, collection_path(kind, namespace)):
        for item in page.items:
            yield item


async def served_kinds(api: KubeApi) -> frozenset[str]:
    """Return the kinds of our group and version that the API server serves; empty without the CRDs."""
    try:
        answer = await api.request("GET", _GROUP_PATH)
    except KubeError as error:
        if error.status != 404:
            raise
        return frozenset()
    resources = answer.get("resources")
    return frozenset(
        str(mapping(resource).get("kind")) for resource in (resources if isinstance(resources, list) else [])
    )


async def read_secret_object(api: KubeApi, namespace: str, name: str) -> Mapping[str, object]:
    """Return a Secret as it is stored, for `secret` to take from it what is needed. Raises KubeError."""
    return await api.request("GET", f"/api/v1{_within(namespace)}/secrets/{_name(name)}")


async def namespace_labels(api: KubeApi, namespace: str) -> Mapping[str, str]:
    """Return the labels of a namespace."""
    answer = await api.request("GET", f"/api/v1{_within(namespace)}", accept=f"{METADATA},application/json")
    labels = mapping(mapping(answer.get("metadata")).get("labels"))
    return {str(key): str(value) for key, value in labels.items()}


async def allowed(
    api: KubeApi,
    verb: str,
    group: str,
    resource: str,
    namespace: str = "",
    subresource: str = "",
    name: str = "",
    user: str = "",
) -> bool:
    """Ask the API server whether we may do something, or whether `user` may, which needs a right of its own."""
    attributes = {
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": namespace,
        "name": name,
    }
    kind = "SubjectAccessReview" if user else "SelfSubjectAccessReview"
    whose = {"user": user, "groups": _groups(user)} if user else {}
    answer = await api.request(
        "POST",
        f"/apis/authorization.k8s.io/v1/{kind.lower()}s",
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": kind,
            "spec": {"resourceAttributes": attributes, **whose},
        },
    )
    return mapping(answer.get("status")).get("allowed") is True


def _groups(user: str) -> list[str]:
    """Return the groups that Kubernetes itself gives to a user of this name."""
    system, _, account = user.partition("serviceaccount:")
    if system != "system:" or ":" not in account:
        return ["system:authenticated"]
    namespace = account.partition(":")[0]
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


def _not_ours(method: str, path: str) -> KubeError:
    what = f"{method} {path}: the answer is no such object"
    return KubeError(0, Ours(f"{what}: something else answers in place of the API server"))


def _within(namespace: str) -> str:
    if not is_namespace_name(namespace):
        raise KubeError(400, Ours(f"{namespace[:64]!r} cannot be the name of a namespace"))
    return f"/namespaces/{namespace}"


def _name(name: str) -> str:
    """Return a name as a part of a path: nothing but a name, or it would lead elsewhere."""
    if not is_object_name(name):
        raise KubeError(400, Ours(f"{name[:64]!r} cannot be the name of an object"))
    return name
