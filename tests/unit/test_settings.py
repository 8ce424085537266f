"""Settings: flags over environment over defaults, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator import settings as settings_module
from evs_operator.flags import SettingsError
from evs_operator.settings import Settings, run_flags, settings_of
from support import command_line

FLAGS = (
    "kubeconfig",
    "namespace",
    "operator_namespace",
    "allow_endpoint",
    "no_default_endpoints",
    "allow_auth",
    "oidc_token_file",
    "http_address",
    "leader_elect",
    "log_format",
    "log_level",
)
TEXT_FLAGS = tuple(name for name in FLAGS if name not in ("leader_elect", "no_default_endpoints"))


def read(*argv: str, **variables: str) -> Settings:
    environ = {f"EVS_OPERATOR_{name.upper()}": value for name, value in variables.items()}
    return settings_of(command_line.read(run_flags(), argv, environ))


def refusal(*argv: str, **variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(*argv, **variables)
    return str(caught.value)


@pytest.fixture(autouse=True)
def outside_a_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    pod_namespace = tmp_path / "namespace"
    monkeypatch.setattr(settings_module, "_POD_NAMESPACE", pod_namespace)
    return pod_namespace


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text("{}")
    return path


def test_without_flags_and_variables_every_setting_has_its_documented_default() -> None:
    assert read() == Settings(
        kubeconfig=None,
        namespaces=(),
        operator_namespace="evs-operator",
        allow_endpoints=(),
        default_endpoints=True,
        allow_auth=(),
        oidc_token_file="/var/run/secrets/evs-operator.dev/oidc/token",
        http_address=("", 8080),
        leader_elect=False,
        log_format="json",
        log_level="info",
    )


def test_every_flag_is_read(kubeconfig: Path) -> None:
    given_flags = [
        *("--kubeconfig", str(kubeconfig), "--namespace", "team-a", "--namespace", "team-b"),
        *(
            "--no-default-endpoints",
            "--operator-namespace",
            "ops",
            "--allow-endpoint",
            "https://evs.example.com",
            "--http-address",
            "[::1]:9",
        ),
        *("--allow-auth", "oidc", "--allow-auth", "instanceMetadata", "--oidc-token-file", "/var/run/token"),
        *("--leader-elect", "--log-format", "text", "--log-level", "debug"),
    ]
    assert read(*given_flags) == Settings(
        kubeconfig=kubeconfig,
        namespaces=("team-a", "team-b"),
        operator_namespace="ops",
        allow_endpoints=("https://evs.example.com",),
        default_endpoints=False,
        allow_auth=("oidc", "instanceMetadata"),
        oidc_token_file="/var/run/token",
        http_address=("::1", 9),
        leader_elect=True,
        log_format="text",
        log_level="debug",
    )


def test_every_flag_has_a_variable_of_the_same_name(kubeconfig: Path) -> None:
    from_variables = read(
        kubeconfig=str(kubeconfig),
        namespace="team-a, team-b",
        operator_namespace="ops",
        allow_endpoint="https://evs.example.com,http://127.0.0.1:9000",
        no_default_endpoints="yes",
        allow_auth="instanceMetadata, oidc",
        oidc_token_file="/var/run/token",
        http_address="0.0.0.0:8081",
        leader_elect="true",
        log_format="text",
        log_level="WARNING",
    )
    assert from_variables == Settings(
        kubeconfig=kubeconfig,
        namespaces=("team-a", "team-b"),
        operator_namespace="ops",
        allow_endpoints=("https://evs.example.com", "http://127.0.0.1:9000"),
        default_endpoints=False,
        allow_auth=("instanceMetadata", "oidc"),
        oidc_token_file="/var/run/token",
        http_address=("0.0.0.0", 8081),
        leader_elect=True,
        log_format="text",
        log_level="warning",
    )


def test_a_flag_wins_over_its_variable_and_the_variable_is_then_not_read() -> None:
    settings = read(
        *("--namespace", "from-flag", "--log-level", "error", "--no-leader-elect"),
        namespace="NOT a namespace",
        log_level="loud",
        leader_elect="true",
    )
    assert (settings.namespaces, settings.log_level, settings.leader_elect) == (("from-flag",), "error", False)


@pytest.mark.parametrize("name", FLAGS)
def test_an_empty_variable_counts_as_not_set(name: str) -> None:
    assert read(**{name: ""}) == read()


@pytest.mark.parametrize("name", TEXT_FLAGS)
def test_an_empty_flag_is_refused(name: str) -> None:
    flag = "--" + name.replace("_", "-")
    assert refusal(flag, "").startswith(f"{flag}: '' is not allowed: write ")


@pytest.mark.parametrize("value", [",", "team-a,", ",team-a", "team-a,,team-b", " "])
def test_a_stray_comma_never_widens_the_namespaces_to_all(value: str) -> None:
    assert refusal(namespace=value).startswith("EVS_OPERATOR_NAMESPACE: '' is not allowed: ")


def test_a_namespace_given_twice_is_watched_once() -> None:
    assert read("--namespace", "b", "--namespace", "a", "--namespace", "b").namespaces == ("b", "a")


@pytest.mark.parametrize("value", ["Team", "a_b", "-a", "a-", "a.b", "a b", "a\n", "ä", "a" * 64, "*"])
def test_a_namespace_is_a_dns_label(value: str) -> None:
    assert "write a namespace: 1 to 63 lower-case letters" in refusal(f"--namespace={value}")
    assert refusal(f"--operator-namespace={value}").startswith("--operator-namespace: ")


@pytest.mark.parametrize("value", ["a", "0", "a" * 63, "kube-system"])
def test_every_dns_label_is_a_namespace(value: str) -> None:
    assert read("--namespace", value).namespaces == (value,)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://evs.example.com", "https://evs.example.com"),
        ("https://EVS.Example.com/", "https://evs.example.com"),
        ("https://evs.example.com:443", "https://evs.example.com"),
        ("https://evs.example.com:8443", "https://evs.example.com:8443"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://simulator.evs.svc:9000", "http://simulator.evs.svc:9000"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://*.Example.com", "https://*.example.com"),
    ],
)
def test_an_allowed_endpoint_is_an_origin_or_a_domain(value: str, expected: str) -> None:
    assert read("--allow-endpoint", value).allow_endpoints == (expected,)


@pytest.mark.parametrize(
    "value",
    [
        "evs.example.com",
        "ftp://evs.example.com",
        "https://",
        "https://evs.example.com/v1",
        "https://evs.example.com?x=1",
        "https://evs.example.com#x",
        "https://evs.example.com:99999",
        "https://evs.example.com:port",
        "https://evs example.com",
        "https://[::1",
        "https://user@evs.example.com",
        "*",
        "*.example.com",
        "http://*.example.com",
        "https://*",
        "https://*.com",
        "https://evs.*.example.com",
        "https://*.example.com/",
        "https://*.example.com:8443",
        "https://*example.com",
    ],
)
def test_an_endpoint_that_is_neither_origin_nor_domain_is_refused(value: str) -> None:
    assert "https://*.example.com" in refusal("--allow-endpoint", value)
    assert refusal(allow_endpoint=f"https://evs.example.com,{value}").startswith("EVS_OPERATOR_ALLOW_ENDPOINT: ")


def test_a_refusal_never_repeats_the_password_of_a_url() -> None:
    assert "s3cr3t-pw" not in refusal("--allow-endpoint", "https://user:s3cr3t-pw@evs.example.com")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (":8080", ("", 8080)),
        (":0", ("", 0)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535)),
        ("localhost:80", ("localhost", 80)),
        ("[::]:8080", ("::", 8080)),
    ],
)
def test_an_address_is_host_and_port(value: str, expected: tuple[str, int]) -> None:
    assert read("--http-address", value).http_address == expected


@pytest.mark.parametrize(
    "value",
    [
        "8080",
        "localhost",
        "localhost:",
        ":65536",
        ":-1",
        ":" + "9" * 5000,
        ":8_0",
        ":٨٠",
        ": 80",
        "::1:8080",
        "[]:80",
        "[::1]80",
        "a b:80",
        "http://x:80",
        "x/y:80",
    ],
)
def test_an_address_without_a_host_and_port_that_can_be_is_refused(value: str) -> None:
    assert "write HOST:PORT, :PORT or [IPv6]:PORT" in refusal("--http-address", value)


@pytest.mark.parametrize("value", ["/nonexistent/kubeconfig", "~nobody-of-this-name/x", "a\0b", " "])
def test_a_kubeconfig_that_cannot_be_read_is_refused(value: str) -> None:
    assert "write the path of a file" in refusal("--kubeconfig", value)


def test_a_directory_is_no_kubeconfig(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(kubeconfig=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("log_format", "yaml", "write json or text"),
        ("log_level", "loud", "write debug, info, warning or error"),
        ("leader_elect", "maybe", "write true or false"),
    ],
)
def test_a_refusal_names_the_variable_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    assert refusal(**{name: value}) == f"EVS_OPERATOR_{name.upper()}: '{value}' is not allowed: {allowed}"


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("YES", True), ("0", False), ("False", False)])
def test_leader_election_is_switched_by_the_usual_words(value: str, expected: bool) -> None:
    assert read(leader_elect=value).leader_elect is expected


def test_the_operator_namespace_is_the_pods_own_where_there_is_one(outside_a_pod: Path) -> None:
    outside_a_pod.write_text("storage-ops\n")
    assert read().operator_namespace == "storage-ops"
    assert read("--operator-namespace", "named").operator_namespace == "named"


@given(name=st.sampled_from(TEXT_FLAGS), value=st.text(max_size=300))
def test_whatever_is_typed_is_taken_or_refused_on_one_line(name: str, value: str) -> None:
    flag = "--" + name.replace("_", "-")
    for argv, variables, place in (
        ([f"{flag}={value}"], {}, flag),
        ([], {name: value.replace("\0", "")}, f"EVS_OPERATOR_{name.upper()}"),  # no variable can hold a NUL
    ):
        try:
            read(*argv, **variables)
        except SettingsError as error:
            answer = str(error)
        else:
            continue
        assert answer.isprintable()
        assert answer.startswith(f"{place}: ")


@pytest.mark.parametrize("value", ["password", "OIDC", "*", ""])
def test_a_way_to_sign_in_that_does_not_exist_is_refused(value: str) -> None:
    assert refusal("--allow-auth", value).endswith("write oidc or instanceMetadata")


@pytest.mark.parametrize("value", ["token", "", "./token", "/a\0b"])
def test_a_token_file_is_an_absolute_path(value: str) -> None:
    assert "write the absolute path of a file" in refusal("--oidc-token-file", value)
