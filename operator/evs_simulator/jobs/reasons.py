"""Texts of failed jobs as the service writes them (docs/reference/jobs-api.md#reasons-of-a-failure), good and nasty.

`reason` gives the text for an error code and a job type. The nasty ones are for tests of what a client shows: a
foreign script, JSON inside a string, and a text that carries secrets which must never reach a log or a status.
"""

from __future__ import annotations

_TASKS = {
    "createVolume": "EbsCreateVolumeTask",
    "deleteVolume": "EbsDeleteVolumeTask",
    "deleteSingleVolume": "EbsDeleteVolumeTask",
    "extendVolume": "EbsExtendVolumeTask",
    "retypeVolume": "EbsRetypeVolumeTask",
}
_TEXTS = {
    "EVS.1042": "overLimit: volume gigabytes exceeded volume gigabytes quota!",
    "EVS.2019": "snapshot is error_deleting!",
    "EVS.2020": "volume is error_deleting!",
    "EVS.2024": "volume is error!",
    "EVS.2025": "volume is error_restoring!",
    "EVS.2026": "volume is error_extending!",
    "EVS.2072": "badRequest: Volume type [SSD] in availability zone [eu-de-01] is sold out !",
    "EVS.5400": "badRequest: Invalid input received: Availability zone 'eu-de-09' is invalid",
    "EVS.5403": "forbidden: Policy check failed.",
    "EVS.5413": "overLimit: VolumeSizeExceedsAvailableQuota",
}
# Codes of failures after the volume existed: it is left behind in an error state.
_LATE = frozenset({"EVS.2019", "EVS.2020", "EVS.2021", "EVS.2024", "EVS.2025", "EVS.2026", "EVS.2050"})

CHINESE = "云硬盘创建失败：配额不足，请联系管理员。"
JSON_TEXT = (
    '{"forbidden": {"code": 403, "message": "Quota exceeded for volumes: Requested 1, but already used 50 of 50"}}'
)
LEAKY_TEXT = (
    "EbsCreateVolumeTask-fail:unauthorized: verify aksk signature fail, canonicalRequest:GET|/v1/p/jobs/j/||"
    "host:evs.example.com|x-security-token:c2VjcmV0LXNlY3VyaXR5LXRva2VuLXZhbHVl||host;x-security-token|e3b0, "
    "ak:AKIDEXAMPLESECRET000, X-Auth-Token: MIIsecretTOKENvalueMIIsecretTOKENvalueMIIsecretTOKENvalue, "
    '"password": "hunter2-secret", secret_key=sk-secret-value-0123456789, https://user:pa55word@proxy.example.com/'
)


def is_late(code: object) -> bool:
    """Whether a creation that failed with this code leaves a volume behind."""
    return code in _LATE


def reason(code: object, job_type: str) -> str:
    """Return the usual text of a failure with this code in a job of this type."""
    task = _TASKS.get(job_type, "EbsTask")
    return f"{task}-fail:{_TEXTS.get(str(code), 'internal error!')}"


def odd(kind: str, plain: object, kilobytes: int) -> object:
    """Return a nasty form of a reason: `kind` is "chinese", "json", "secret" or ""; filled up to so many kB."""
    text = {"chinese": CHINESE, "json": JSON_TEXT, "secret": LEAKY_TEXT}.get(kind, plain)
    if kilobytes and isinstance(text, str):
        filler = " nested exception is: com.example.ebs.task.TaskException;"
        return (text + filler * (kilobytes * 1024 // len(filler) + 1))[: kilobytes * 1024]
    return text
