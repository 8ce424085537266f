"""Lists are read in pages that are small in bytes, whatever the objects in them weigh."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from aiohttp import web

from evs_operator.kube import objects
from evs_operator.kube.api import ANSWER_BYTES, AnswerTooLargeError, KubeApi, KubeError
from evs_operator.kube.listing import PAGE_BYTES, pages
from support.fake_api_server import FakeApiServer, evsjob

PATH = "/apis/evs-operator.dev/v1alpha1/evsjobs"


async def _names(api: KubeApi) -> list[str]:
    return [item["metadata"]["name"] async for page in pages(api, PATH) for item in page.items]  # type: ignore[index]


def _limits(server: FakeApiServer) -> list[int]:
    return [int(asked.query["limit"]) for asked in server.asked]


def _wide(name: str, size: int) -> dict[str, object]:
    return evsjob(name, labels={f"l{n:04}": "v" * 50 for n in range(size // 60)})


async def test_ten_thousand_ordinary_objects_take_few_pages(server: FakeApiServer, api: KubeApi) -> None:
    server.objects = [evsjob(f"job-{n}") for n in range(10_000)]
    assert await _names(api) == [item["metadata"]["name"] for item in server.objects]
    assert len(server.asked) <= 55
    assert max(_limits(server)) == 250


@pytest.mark.parametrize("ordinary", [0, 700], ids=["from the first on", "after ordinary ones"])
async def test_a_page_of_wide_objects_is_never_held_whole(server: FakeApiServer, api: KubeApi, ordinary: int) -> None:
    server.objects = [evsjob(f"a-{n}") for n in range(ordinary)] + [_wide(f"b-{n}", 1_000_000) for n in range(40)]
    expected = [item["metadata"]["name"] for item in server.objects]
    answered: list[int] = []
    original = api.answer

    async def answer(*arguments: object, **more: object) -> object:
        found = await original(*arguments, **more)  # type: ignore[arg-type]
        answered.append(found.size)
        return found

    api.answer = answer  # type: ignore[method-assign,assignment]
    assert await _names(api) == expected
    assert max(answered) <= PAGE_BYTES
    assert len(server.asked) < 60


async def test_pages_grow_again_behind_wide_objects(server: FakeApiServer, api: KubeApi) -> None:
    server.objects = [_wide(f"a-{n}", 1_000_000) for n in range(8)] + [evsjob(f"b-{n}") for n in range(2_000)]
    assert len(await _names(api)) == 2_008
    assert _limits(server)[-1] == 250
    assert len(server.asked) < 40


async def test_the_memory_of_a_list_is_that_of_a_page(server: FakeApiServer, api: KubeApi) -> None:
    server.objects = [_wide(f"job-{n}", 1_000_000) for n in range(12)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    async for listed in objects.list_jobs(api, None):
        assert listed.uid
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 6 * PAGE_BYTES


async def test_one_object_larger_than_any_answer_is_an_error_of_the_list(server: FakeApiServer, api: KubeApi) -> None:
    server.objects = [_wide("job", ANSWER_BYTES + 1_000_000)]
    with pytest.raises(AnswerTooLargeError):
        await _names(api)


_LIST = '"kind":"EvsJobList","metadata":{"resourceVersion":"1"}'
NO_LISTS = {
    "a page for people": "<html>Welcome</html>",
    "nothing": "",
    "an empty object": "{}",
    "a list of JSON": "[]",
    "items alone": '{"items":[]}',
    "no items": f"{{{_LIST}}}",
    "no version": '{"kind":"EvsJobList","metadata":{},"items":[]}',
    "one object": '{"kind":"EvsJob","metadata":{"resourceVersion":"1"},"items":[]}',
    "a Status": '{"kind":"Status","metadata":{},"status":"Success"}',
    "items that are no objects": f'{{{_LIST},"items":[1]}}',
    "items that are no list": f'{{{_LIST},"items":{{}}}}',
    "a health page": '{"status":"ok"}',
    "nested beyond reading": "[" * 100_000,
}


@pytest.mark.parametrize("said", NO_LISTS)
async def test_an_answer_that_is_no_list_is_an_error_and_not_an_empty_list(
    server: FakeApiServer, api: KubeApi, said: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=NO_LISTS[said], content_type="application/json")

    server.list = answer
    for listing in (_names(api), _uids(api)):
        with pytest.raises(KubeError, match="in place of the API server"):
            await listing


async def _uids(api: KubeApi) -> list[str]:
    return [item.uid async for item in objects.list_jobs(api, "ns")]


async def test_an_empty_list_as_go_may_write_it_is_an_empty_list(server: FakeApiServer, api: KubeApi) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"kind": "EvsJobList", "metadata": {"resourceVersion": "1"}, "items": None})

    server.list = answer
    assert await _names(api) == []


async def test_a_compressed_page_counts_unpacked(server: FakeApiServer, api: KubeApi) -> None:
    async def answer(request: web.Request) -> web.Response:
        limit = int(request.query["limit"])
        items = [evsjob(f"{n}", annotations={"a": "0" * 1_000_000}) for n in range(limit)]
        body = {"kind": "EvsJobList", "metadata": {"resourceVersion": "1"}, "items": items}
        response = web.json_response(body)
        response.enable_compression()
        return response

    server.list = answer
    assert len(await _names(api)) <= 4
    await asyncio.sleep(0)
