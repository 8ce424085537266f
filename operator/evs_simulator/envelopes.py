"""The ten forms in which layers of the cloud say that something is wrong, named E1 to E10.

docs/reference/jobs-api.md#forms-of-an-error shows each of them.

`evs_error` and `gateway_error` are the two that the simulator answers with by itself; `iam_error` is the third. The
others come up through faults. A caller gets a whole answer and returns or raises it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .wire import Answer, RefusalError, Request, json_answer

_GATEWAY = {"Server": "api-gateway"}
_HTML = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    "<hr><center>{message}</center>\r\n</body>\r\n</html>\r\n"
)

_TITLES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
}
_FAULT_NAMES = ("badRequest", "itemNotFound", "forbidden", "overLimit", "unauthorized", "computeFault")
_FAULT_BY_STATUS: Mapping[int, str] = {
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    413: "overLimit",
    429: "overLimit",
}

# Bodies by envelope: (message, code, HTTP status, request id) -> JSON value. E8 to E10 are not JSON: see `envelope`.
_JSON_FORMS: dict[str, Callable[[str, str, int, str], object]] = {
    "E1": lambda message, code, status, request: {"error": {"message": message, "code": code}},
    "E2": lambda message, code, status, request: {"error_msg": message, "error_code": code, "request_id": request},
    "E3": lambda message, code, status, request: {
        "error": {"message": message, "code": status, "title": _TITLES.get(status, "Error")}
    },
    "E4": lambda message, code, status, request: {
        code if code in _FAULT_NAMES else _fault_name(status): {"message": message, "code": status}
    },
    "E5": lambda message, code, status, request: {"code": code, "message": message},
    "E6": lambda message, code, status, request: {"errorCode": code, "errorMsg": message},
    "E7": lambda message, code, status, request: {"error": {"code": code, "message": message, "ext_message": None}},
}
ENVELOPES = (*_JSON_FORMS, "E8", "E9", "E10")


def _fault_name(status: int) -> str:
    return _FAULT_BY_STATUS.get(status, "computeFault" if status >= 500 else "badRequest")


def envelope(form: str, status: int, message: str, code: str, request: Request) -> Answer:
    """Return an error in one of the forms E1 to E10. Raises ValueError for another form."""
    if form in _JSON_FORMS:
        body = _JSON_FORMS[form](message, code, status, request.request_id)
        return json_answer(status, body, _GATEWAY if form == "E2" else None)
    if form == "E8":
        return Answer(status, message.encode(), {"Content-Type": "text/plain"})
    if form == "E9":
        return html(status, f"{status} {message}", message)
    if form == "E10":
        return Answer(status, b"", {})
    raise ValueError(f"envelope is {form!r}, not one of {', '.join(ENVELOPES)}")


def html(status: int, title: str, message: str) -> Answer:
    """Return a page as a load balancer or a proxy makes it."""
    return Answer(status, _HTML.format(title=title, message=message).encode(), {"Content-Type": "text/html"})


def evs_error(status: int, code: str, message: str) -> Answer:
    """Return an error of EVS itself (E1)."""
    return json_answer(status, {"error": {"message": message, "code": code}})


def gateway_error(request: Request, status: int, code: str, message: str) -> Answer:
    """Return an error of the API gateway (E2); its request id is that of the header."""
    return envelope("E2", status, message, code, request)


def iam_error(status: int, message: str) -> Answer:
    """Return an error of IAM (E3): its code is a number."""
    return json_answer(status, {"error": {"message": message, "code": status, "title": _TITLES.get(status, "Error")}})


def cinder_error(status: int, message: str, code: int | str) -> Answer:
    """Return an error of the Cinder-like calls behind EVS (E4)."""
    return json_answer(status, {_fault_name(status): {"message": message, "code": code}})


def unauthorized(request: Request, text: str) -> RefusalError:
    """Return the gateway's refusal for wrong authentication information: 401, APIGW.0301."""
    message = f"Incorrect IAM authentication information: {text}"
    return RefusalError(gateway_error(request, 401, "APIGW.0301", message))
