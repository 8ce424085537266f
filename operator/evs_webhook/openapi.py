"""What the webhook serves, as OpenAPI 3.1: `GET /openapi.json`, and what tests hold it to.

The schema of an answer is made of the type that it has in `evs_operator.api`, so that a field cannot be forgotten here.
"""

from __future__ import annotations

from typing import Any, Final, get_args, get_origin, get_type_hints

from evs_operator import __version__
from evs_operator.api import Failure, JobState, JobView

Node = dict[str, Any]

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME: Final = rf"^{_LABEL}(\.{_LABEL})*$"
_WAIT: Final = "^[0-9]{1,6}[sm]?$"
_PROBLEMS: Final = {
    400: "path, query or body cannot be understood",
    401: "no token, or one that the API server refuses",
    403: "the API server does not allow it",
    404: "there is no such EvsJob or namespace, or it was deleted during the wait",
    405: "the path has no such method",
    408: "the body did not arrive in time",
    409: "an EvsJob of this name follows another job, or has another connection",
    413: "the body, or what was asked for, is too large",
    415: "the body is no application/json",
    422: "the API server refuses it; the detail is in its own words",
    429: "too many requests wait, or the API server asks to wait",
    503: "the API server is out of reach",
}
_TRANSIENT: Final = (429, 503)
_MEANT: Final = {
    "ended": "True for Complete and Failed.",
    "reason": "Of the condition Ready; a stable word.",
    "message": "One line for people.",
    "jobId": "The job that the spec asks for; the other fields are the result for it.",
    "jobStatus": "The word of the cloud, verbatim: an open set. Decide by `state`.",
    "progress": "Finished and all sub-jobs, such as 3/4.",
    "duration": "Such as 31.1s.",
}
_TIMES: Final = frozenset({"beginTime", "endTime", "estimatedCompletionTime"})


def document() -> Node:
    """Return the description of all requests."""
    one, all_of = "/v1/namespaces/{namespace}/evsjobs/{name}", "/v1/namespaces/{namespace}/evsjobs"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "evs-operator webhook",
            "version": __version__,
            "description": "Makes EvsJobs of what the cloud answered, and waits for their end, with the rights of the"
            " caller's own Kubernetes token.",
        },
        "security": [{"token": []}],
        "paths": {
            all_of: {"parameters": [_namespace()], "get": _list(), "post": _create()},
            one: {"parameters": [_namespace(), _name()], "get": _get()},
            f"{one}/reconcile": {"parameters": [_namespace(), _name()], "post": _reconcile()},
            "/openapi.json": {"get": _self()},
        },
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of the cluster's API server."}
            },
            "schemas": {
                "EvsJob": _schema_of(JobView),
                "Failure": _schema_of(Failure),
                "Problem": _problem_schema(),
                "Answer": _answer_schema(),
                "Manifest": _manifest_schema(),
            },
        },
    }


def _list() -> Node:
    return {
        "operationId": "listEvsJobs",
        "summary": "List the EvsJobs of a namespace",
        "parameters": [
            _query("labelSelector", {"type": "string", "maxLength": 4096}, "A label selector, as for kubectl."),
            _query("state", {"type": "string"}, f"States, separated by commas: {', '.join(JobState)}."),
        ],
        "responses": {"200": _json("The EvsJobs", _items()), **_refusals(400, 401, 403, 404, 413, 422, 429, 503)},
    }


def _create() -> Node:
    seconds = {"type": "integer", "minimum": 0, "maximum": 2147483647}
    return {
        "operationId": "createEvsJob",
        "summary": "Make an EvsJob of the cloud's answer, or of a manifest",
        "parameters": [
            _query(
                "name", {"type": "string", "pattern": _NAME, "maxLength": 253}, "Default: the job id in lower case."
            ),
            _query("connection", {"type": "string"}, "An EvsConnection, or cluster/NAME of a ClusterEvsConnection."),
            _query("projectId", {"type": "string", "pattern": "^[0-9a-f]{32}$"}, "Default: the connection's."),
            _query("deadlineSeconds", {**seconds, "minimum": 1}, "See spec.deadlineSeconds."),
            _query("ttlSecondsAfterFinished", seconds, "See spec.ttlSecondsAfterFinished."),
            _wait(),
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"anyOf": [_ref("Answer"), _ref("Manifest")]}}},
        },
        "responses": {
            "200": _about("It was there, with the same job id and connection", _location()),
            "201": _about("Made", _location()),
            "202": _about("Made or there, and the webhook ends before the job: ask again", _location()),
            **_refusals(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
        },
    }


def _get() -> Node:
    return {
        "operationId": "getEvsJob",
        "summary": "Read an EvsJob, and wait for its end",
        "parameters": [_wait()],
        "responses": {
            "200": _about("It has ended, or the caller does not wait"),
            "202": _about("It had not ended when the time was over"),
            **_refusals(400, 401, 403, 404, 413, 422, 429, 503),
        },
    }


def _reconcile() -> Node:
    handled = {"description": "Whether the operator has looked at it since.", "schema": {"enum": ["true", "false"]}}
    return {
        "operationId": "reconcileEvsJob",
        "summary": "Have the operator look at the job now, also if it has ended",
        "parameters": [_wait()],
        "responses": {
            "202": _about("Asked for", {"Reconcile-Handled": handled}),
            **_refusals(400, 401, 403, 404, 409, 413, 422, 429, 503),
        },
    }


def _self() -> Node:
    return {
        "operationId": "getOpenApi",
        "summary": "This description",
        "security": [],
        "responses": {"200": _json("OpenAPI 3.1", {"type": "object"}), **_refusals(400)},
    }


def _refusals(*codes: int) -> Node:
    return {str(code): _refusal(code) for code in (*codes, 405)}


def _refusal(code: int) -> Node:
    answer: Node = {
        "description": _PROBLEMS[code],
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    if code in _TRANSIENT:
        answer["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    if code == 401:
        answer["headers"] = {"WWW-Authenticate": {"description": "Bearer.", "schema": {"type": "string"}}}
    return answer


def _about(description: str, headers: Node | None = None) -> Node:
    content = {
        "application/json": {"schema": _ref("EvsJob")},
        "text/event-stream": {"schema": {"type": "string", "description": "One event for each change of the EvsJob."}},
    }
    return {"description": description, "content": content} | ({"headers": headers} if headers else {})


def _json(description: str, schema: Node) -> Node:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _items() -> Node:
    items = {"type": "array", "items": _ref("EvsJob")}
    return {"type": "object", "required": ["items"], "properties": {"items": items}}


def _location() -> Node:
    return {"Location": {"description": "Path of the EvsJob.", "schema": {"type": "string"}}}


def _namespace() -> Node:
    return _path("namespace", rf"^{_LABEL}$", 63)


def _name() -> Node:
    return _path("name", _NAME, 253)


def _path(name: str, pattern: str, longest: int) -> Node:
    schema = {"type": "string", "pattern": pattern, "minLength": 1, "maxLength": longest}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: Node, description: str) -> Node:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _wait() -> Node:
    said = "How long to wait for the end: 30s, 5m or seconds, as long as the webhook allows at most."
    return _query("wait", {"type": "string", "pattern": _WAIT, "examples": ["30s"]}, said)


def _ref(name: str) -> Node:
    return {"$ref": f"#/components/schemas/{name}"}


def _schema_of(kind: Any) -> Node:
    """Return the schema of a TypedDict; raises TypeError for a field of a type that no answer has."""
    fields = {name: _field(name, hint) for name, hint in get_type_hints(kind).items()}
    schema = {"type": "object", "properties": fields, "additionalProperties": False}
    required = sorted(kind.__required_keys__)
    return {**schema, "required": required} if required else schema


def _field(name: str, hint: Any) -> Node:
    schema = _type(hint)
    if name in _TIMES:
        schema["format"] = "date-time"
    return {**schema, "description": _MEANT[name]} if name in _MEANT else schema


def _type(hint: Any) -> Node:
    if hint is Failure:
        return _ref("Failure")
    if get_origin(hint) is list:
        return {"type": "array", "items": _type(get_args(hint)[0])}
    if get_args(hint):
        return {"type": "string", "enum": list(get_args(hint))}
    return {"type": {str: "string", bool: "boolean"}[hint]}


def _problem_schema() -> Node:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail"],
        "properties": {"type": text, "title": text, "status": {"type": "integer"}, "detail": text},
    }


def _answer_schema() -> Node:
    job_id = {"type": "string", "pattern": "^[0-9A-Za-z][0-9A-Za-z-]{7,63}$"}
    return {
        "type": "object",
        "description": "What the cloud answered to the operation, or a job of the cloud; other fields are ignored.",
        "required": ["job_id"],
        "not": {"anyOf": [{"required": ["kind"]}, {"required": ["apiVersion"]}]},
        "properties": {"job_id": job_id},
    }


def _manifest_schema() -> Node:
    return {
        "type": "object",
        "description": "An EvsJob. Its namespace is that of the path.",
        "required": ["apiVersion", "kind", "spec"],
        "properties": {
            "apiVersion": {"const": "evs-operator.dev/v1alpha1"},
            "kind": {"const": "EvsJob"},
            "metadata": {"type": "object"},
            "spec": {"type": "object", "required": ["jobId"], "properties": {"jobId": {"type": "string"}}},
        },
    }
