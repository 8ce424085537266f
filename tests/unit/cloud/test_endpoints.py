"""Where a credential may be sent to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.cloud.endpoints import DEFAULT_DOMAINS, DEFAULT_HOSTS, AllowList, EndpointNotAllowed, origin

PUBLIC = [
    "https://evs.eu-de.otc.t-systems.com",
    "https://evs.eu-nl.otc.t-systems.com",
    "https://iam.eu-de.otc.t-systems.com",
    "https://evs.eu-ch2.sc.otc.t-systems.com",
    "https://iam-pub.eu-ch2.sc.otc.t-systems.com",
    "https://evs.cn-north-4.myhuaweicloud.com",
    "https://evs.ap-southeast-1.myhuaweicloud.com",
    "https://iam.myhuaweicloud.com",
    "https://evs.eu-west-101.myhuaweicloud.eu",
    "https://iam.eu-west-101.myhuaweicloud.eu",
    "https://EVS.EU-DE.OTC.T-SYSTEMS.COM:443/v2/0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6",
]
FOREIGN = [
    "https://evs.example.com",
    "https://evs.eu-west-0.prod-cloud-ocb.orange-business.com",
    "https://evs.ru-moscow-1.hc.sbercloud.ru",
    "https://otc.t-systems.com",
    "https://evs.otc.t-systems.com",
    "https://evs.eu-de.otc.t-systems.com.example.com",
    "https://evs.eu-deotc.t-systems.com",
    "https://example.com/.otc.t-systems.com",
    "https://example.com#.otc.t-systems.com",
    "https://example.com\\.otc.t-systems.com",
    "https://example.com%2f.eu-de.otc.t-systems.com",
    "https://user@evs.eu-de.otc.t-systems.com",
    "https://evs.eu-de.otc.t-systems.com:8443",
    "http://evs.eu-de.otc.t-systems.com",
    "https://obs.eu-de.otc.t-systems.com",
    "https://my-bucket.obs.eu-de.otc.t-systems.com",
    "https://evs.obs.eu-de.otc.t-systems.com",
    "https://evs.obs.myhuaweicloud.com",
    "https://evs.obs-website.eu-de.otc.t-systems.com",
    "https://iam.my-site.eu-de.otc.t-systems.com",
    "https://10.0.0.1",
    "https://169.254.169.254",
    "https://[::1]",
    "https://[fd00::1]",
    "https://localhost",
    "https://kubernetes",
    "https://kubernetes.default.svc",
    "https://evs.corp.svc.cluster.local",
    "https://xn--vs-eka.eu-de.otc.t-systems.com",
    "https://evs.eu-de.xn--tc-jia.t-systems.com",
]
NO_ENDPOINT = [
    *(
        "",
        "evs.example.com",
        "ftp://evs.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "//evs.example.com",
    ),
    *(
        "https://evs.example.com?x=1",
        "https://evs.example.com#x",
        "https://u:p@evs.example.com",
        "https://@evs.example.com",
    ),
    *(
        "https://evs.example.com:port",
        "https://evs.example.com:99999",
        "https://[::1",
        "https://[zz]",
        "https://[fe80::1%1]",
    ),
    *(
        "https://evs example.com",
        "https://evs.\x00example.com",
        "https://evs。example。com",
        "https://-x",
        "https://x.",
        "https://evs.eu-de.otc.t-systems.com.",
        "https://еvs.eu-de.otc.t-systems.com",
    ),
    *(
        "https://2130706433",
        "https://0x7f000001",
        "https://017700000001",
        "https://127.1",
        "https://0x7f.0.0.1",
        "https://0177.0.0.1",
        "https://127.0.0.0x1",
        "https://127.0.0.01",
    ),
]


@pytest.mark.parametrize("url", PUBLIC)
def test_the_public_endpoints_are_allowed_unnamed(url: str) -> None:
    AllowList().check(url)


@pytest.mark.parametrize("url", FOREIGN)
def test_everything_else_is_refused_unless_named(url: str) -> None:
    with pytest.raises(EndpointNotAllowed):
        AllowList().check(url)


@pytest.mark.parametrize("url", NO_ENDPOINT)
def test_what_is_no_origin_is_refused_on_one_short_line(url: str) -> None:
    with pytest.raises(EndpointNotAllowed) as raised:
        origin(url)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 200


def test_a_refusal_never_repeats_the_password_of_a_url() -> None:
    for url in ("https://u:s3cr3t@evs.example.com", "https://u:s3cr3t@evs example.com", "ftp://u:s3cr3t@x"):
        with pytest.raises(EndpointNotAllowed) as raised:
            AllowList().check(url)
        assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://EVS.example.com/", "https://evs.example.com"),
        ("https://evs.example.com:443/v2/p", "https://evs.example.com"),
        ("http://evs.example.com:80", "http://evs.example.com"),
        ("http://evs.example.com:443", "http://evs.example.com:443"),
        ("https://evs.example.com:8443", "https://evs.example.com:8443"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443"),
        (" https://evs.example.com\n", "https://evs.example.com"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, expected: str) -> None:
    assert origin(url) == expected
    assert origin(expected) == expected


def test_a_named_origin_is_allowed_with_its_scheme_and_port_only() -> None:
    allow = AllowList(["http://127.0.0.1:8081", "https://evs.corp.example", "https://[::1]:8443"])
    for url in ("http://127.0.0.1:8081/v1", "https://evs.corp.example", "https://[::1]:8443"):
        allow.check(url)
    for url in (
        "https://127.0.0.1:8081",
        "http://127.0.0.1:8082",
        "http://127.0.0.1",
        "http://evs.corp.example",
        "https://evs.corp.example:8443",
        "https://x.evs.corp.example",
    ):
        with pytest.raises(EndpointNotAllowed):
            allow.check(url)


def test_naming_an_origin_keeps_the_public_ones_allowed() -> None:
    AllowList(["https://evs.corp.example"]).check(PUBLIC[0])


def test_without_the_defaults_only_what_is_named_is_allowed() -> None:
    allow = AllowList(["https://evs.corp.example", "https://*.otc.t-systems.com"], defaults=False)
    allow.check("https://evs.corp.example")
    allow.check("https://evs.eu-de.otc.t-systems.com")
    for url in ("https://evs.cn-north-4.myhuaweicloud.com", "https://iam.myhuaweicloud.com"):
        with pytest.raises(EndpointNotAllowed, match=r"name it with --allow-endpoint$"):
            allow.check(url)


def test_without_the_defaults_a_name_of_a_public_cloud_may_not_stand_for_a_shared_address() -> None:
    with pytest.raises(EndpointNotAllowed):
        AllowList(defaults=False).check_address("evs.eu-de.otc.t-systems.com", 443, "100.125.0.1")


@pytest.mark.parametrize("host", DEFAULT_HOSTS)
@pytest.mark.parametrize(("cloud", "domain"), DEFAULT_DOMAINS)
def test_every_default_that_is_listed_is_allowed(host: str, cloud: str, domain: str) -> None:
    AllowList().check(f"https://{host.replace('REGION', 'eu-de')}{domain}")


def test_the_default_clouds_are_the_two_that_the_documentation_names() -> None:
    assert {cloud for cloud, _ in DEFAULT_DOMAINS} == {"T Cloud Public", "Huawei Cloud"}


def test_a_wildcard_allows_https_hosts_below_the_domain_and_not_the_domain() -> None:
    allow = AllowList(["https://*.Corp.example"])
    allow.check("https://evs.corp.example")
    allow.check("https://evs.eu.corp.example")
    for url in (
        "https://corp.example",
        "https://evilcorp.example",
        "https://evs.corp.example.",
        "http://evs.corp.example",
        "https://evs.corp.example.com",
        "https://127.0.0.1",
    ):
        with pytest.raises(EndpointNotAllowed):
            allow.check(url)


def test_a_wildcard_never_allows_a_name_inside_the_cluster() -> None:
    allow = AllowList(["https://*.svc.cluster.local", "https://*.team.svc"])
    for url in ("https://evs.team.svc.cluster.local", "https://evs.team.svc"):
        with pytest.raises(EndpointNotAllowed):
            allow.check(url)
    AllowList(["https://evs.team.svc"]).check("https://evs.team.svc")


@pytest.mark.parametrize(
    "pattern", ["*", "https://*", "https://*example.com", "http://*.example.com", "https://*.", "x*"]
)
def test_a_pattern_that_would_allow_too_much_is_refused(pattern: str) -> None:
    with pytest.raises(EndpointNotAllowed):
        AllowList([pattern])


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(EndpointNotAllowed, match="--allow-endpoint"):
        AllowList().check("https://evs.example.com")


@given(st.text() | st.text(st.sampled_from("htps:/@.%[]#?\\evsotc-0 "), max_size=40).map("https://".__add__))
def test_any_text_is_an_origin_or_refused(url: str) -> None:
    try:
        found = origin(url)
    except EndpointNotAllowed:
        return
    assert origin(found) == found


@pytest.mark.parametrize(
    ("endpoint", "realm"),
    [
        ("https://evs.eu-de.otc.t-systems.com", ".otc.t-systems.com"),
        ("https://evs.eu-nl.otc.t-systems.com", ".otc.t-systems.com"),
        ("https://evs.eu-ch2.sc.otc.t-systems.com", ".sc.otc.t-systems.com"),
        ("https://evs.cn-north-4.myhuaweicloud.com", ".myhuaweicloud.com"),
        ("https://evs.tenant-a.example.com", ".example.com"),
        ("https://evs.inner.example.com", ".inner.example.com"),
        ("https://evs.named.example.com", "https://evs.named.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_endpoints_of_one_pattern_are_of_one_cloud_and_what_is_named_exactly_is_one_of_its_own(
    endpoint: str, realm: str
) -> None:
    named = ("https://*.example.com", "https://*.inner.example.com", "https://evs.named.example.com")
    assert AllowList((*named, "http://127.0.0.1:8080")).realm_of(endpoint) == realm
