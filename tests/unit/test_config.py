"""The configuration: Nova's words, their limits, and refusals that name option and reason."""

import itertools
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from common import config, migration_flags
from common.errors import ConfigurationError

SAMPLE = Path(__file__).parents[2] / "etc/limosa/limosa.conf.sample"
NOBODY = 65534


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a file with these lines, as the agent does."""
    monkeypatch.setenv("LIMOSA_CONCURRENCY_BACKEND", "threading")
    numbers = itertools.count()

    def load(text: str = "", service: str = "agent"):
        path = tmp_path / f"limosa-{next(numbers)}.conf"
        path.write_text(text)
        return config.load(["--config-file", str(path)], service)

    yield load
    config.CONF.reset()


def refusal(load, text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    return caught.value


def flags(*names: str) -> str:
    return "[libvirt]\nlive_migration_flag = " + ", ".join(f"VIR_MIGRATE_{name}" for name in names)


CLASSIC = ("UNDEFINE_SOURCE", "PEER2PEER", "LIVE", "PERSIST_DEST")


def test_an_empty_file_gives_novas_defaults(load):
    libvirt = load().libvirt
    assert libvirt.connection_uri == "qemu:///system"
    assert libvirt.live_migration_flag == [f"VIR_MIGRATE_{name}" for name in CLASSIC]
    assert (
        libvirt.live_migration_downtime,
        libvirt.live_migration_downtime_steps,
        libvirt.live_migration_downtime_delay,
        libvirt.live_migration_completion_timeout,
        libvirt.live_migration_timeout_action,
        libvirt.live_migration_bandwidth,
    ) == (500, 10, 75, 800, "abort", 0)


@pytest.mark.parametrize("service", ["conductor", "agent", "client"])
def test_one_file_serves_all_services(load, service):
    conf = load("[DEFAULT]\nhost = compute1\n[vnc]\nserver_listen = 10.0.0.1\n", service)
    assert conf.host == "compute1"
    assert conf.vnc.server_listen == "10.0.0.1"


def test_queues_are_durable_and_of_the_quorum_type_unless_the_file_says_otherwise(load):
    assert load().oslo_messaging_rabbit.rabbit_quorum_queue is True
    assert load().control_exchange == "limosa"
    assert (
        load("[oslo_messaging_rabbit]\nrabbit_quorum_queue = false").oslo_messaging_rabbit.rabbit_quorum_queue
        is False
    )


def test_the_flags_of_the_classic_set_up_work(load):
    conf = load(flags(*CLASSIC, "TUNNELLED"))
    assert "VIR_MIGRATE_TUNNELLED" in conf.libvirt.live_migration_flag


@pytest.mark.parametrize(
    "more", [("TLS",), ("PARALLEL",), ("PARALLEL", "ZEROCOPY"), ("AUTO_CONVERGE",), ("POSTCOPY",)]
)
def test_flags_that_libvirt_can_do_are_permitted(load, more):
    load(flags(*CLASSIC, *more))


@pytest.mark.parametrize("missing", CLASSIC)
def test_a_mandatory_flag_cannot_be_left_out(load, missing):
    error = refusal(load, flags(*(name for name in CLASSIC if name != missing)))
    assert str(error).startswith(f"[libvirt]live_migration_flag: VIR_MIGRATE_{missing} is mandatory: ")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("UNSAFE",), "never uses it"),
        (("NON_SHARED_DISK",), "mode"),
        (("NON_SHARED_INC",), "mode"),
        (("OFFLINE",), "leaves it where it was"),
        (("PAUSED",), "paused"),
        (("TUNNELLED", "TLS"), "cannot go together"),
        (("TUNNELLED", "PARALLEL"), "cannot go together"),
        (("TUNNELLED", "POSTCOPY"), "cannot go together"),
        (("POSTCOPY", "PARALLEL"), "cannot go together"),
        (("ZEROCOPY",), "needs VIR_MIGRATE_PARALLEL"),
        (("RDMA_PIN_ALL",), "rdma"),
        (("WARP",), "VIR_MIGRATE_WARP is no flag"),
    ],
)
def test_a_flag_that_cannot_work_is_refused_with_the_reason(load, more, reason):
    error = refusal(load, flags(*CLASSIC, *more))
    assert error.fields["option"] == "live_migration_flag"
    assert reason in error.fields["reason"]


def test_a_flag_is_written_as_libvirt_writes_it(load):
    assert "LIVE is no flag" in str(refusal(load, "[libvirt]\nlive_migration_flag = LIVE"))


def test_every_flag_of_the_installed_libvirt_is_known():
    libvirt = pytest.importorskip("libvirt")
    names = {
        name.removeprefix("VIR_MIGRATE_")
        for name in dir(libvirt)
        if name.startswith("VIR_MIGRATE_") and not name.startswith("VIR_MIGRATE_PARAM_")
    }
    assert names == migration_flags.KNOWN


@pytest.mark.parametrize(
    ("text", "group", "option", "reason"),
    [
        ("[libvirt]\nlive_migration_downtime = 99", "libvirt", "live_migration_downtime", "100"),
        ("[libvirt]\nlive_migration_downtime_steps = 2", "libvirt", "live_migration_downtime_steps", "3"),
        ("[libvirt]\nlive_migration_downtime_delay = 2", "libvirt", "live_migration_downtime_delay", "3"),
        ("[libvirt]\nlive_migration_bandwidth = -1", "libvirt", "live_migration_bandwidth", "0"),
        ("[libvirt]\nlive_migration_poll_interval = 0", "libvirt", "live_migration_poll_interval", "0.05"),
        ("[volumes]\ninitiator = compute1", "volumes", "initiator", "no iSCSI name"),
        ("[volumes]\ngrants = everybody", "volumes", "grants", "everybody"),
        ("[volumes]\ngrants = exec", "volumes", "grants_command", "needs it"),
        ("[volumes]\ngrants_command = grant.sh", "volumes", "grants_command", "no absolute path"),
        ("[volumes]\ntgtadm = ssh 'root", "volumes", "tgtadm", "cannot be read"),
        ("[volumes]\nsecrets_path = secrets", "volumes", "secrets_path", "no absolute path"),
        (
            "[libvirt]\nlive_migration_timeout_action = shrug",
            "libvirt",
            "live_migration_timeout_action",
            "shrug",
        ),
        (
            "[libvirt]\nlive_migration_timeout_action = force_complete",
            "libvirt",
            "live_migration_timeout_action",
            "does not exist yet",
        ),
        ("[libvirt]\nlive_migration_uri = qemu+tcp://host/system", "libvirt", "live_migration_uri", "%s"),
        ("[libvirt]\nlive_migration_scheme = tcp://x", "libvirt", "live_migration_scheme", "tcp://x"),
        ("[libvirt]\nlive_migration_inbound_addr = a/b?x", "libvirt", "live_migration_inbound_addr", "a/b?x"),
        ("[agent]\ncall_drain_s = 30", "agent", "call_drain_s", "35"),
        ("[DEFAULT]\nservice_down_time = 5\nreport_interval = 4", "DEFAULT", "service_down_time", "twice"),
        ("[DEFAULT]\nhost = a host", "DEFAULT", "host", "a host"),
        ("[DEFAULT]\nstate_path = here", "DEFAULT", "state_path", "here"),
    ],
)
def test_a_value_that_cannot_work_is_refused_naming_option_and_reason(load, text, group, option, reason):
    error = refusal(load, text)
    assert (error.fields["group"], error.fields["option"]) == (group, option)
    assert reason in error.fields["reason"]


@pytest.mark.parametrize("address", ["compute2", "c2.example.com", "192.0.2.7", "2001:db8::7", "::1"])
def test_names_and_addresses_of_both_kinds_are_taken(load, address):
    conf = load(f"[libvirt]\nlive_migration_inbound_addr = {address}")
    assert conf.libvirt.live_migration_inbound_addr == address


def test_a_misspelt_option_is_refused_with_a_suggestion(load):
    error = refusal(load, "[libvirt]\nlive_migration_bandwith = 10")
    assert error.fields["option"] == "live_migration_bandwith"
    assert "did you mean live_migration_bandwidth?" in error.fields["reason"]


def test_options_of_the_message_bus_and_groups_of_other_programs_are_not_ours_to_refuse(load):
    load(
        "[DEFAULT]\nrpc_response_timeout = 10\n[oslo_messaging_rabbit]\nssl = true\n[keystone_authtoken]\nx = 1\n"
    )


def test_a_file_that_is_not_there_or_cannot_be_parsed_is_named(load, tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.conf"):
        config.load(["--config-file", str(tmp_path / "nowhere.conf")], "agent")
    assert "limosa-" in str(refusal(load, "[libvirt\nx"))


@pytest.mark.parametrize(
    ("text", "group", "option", "reason"),
    [
        ("[oslo_messaging_rabbit]\nheartbeat_rate = x", "oslo_messaging_rabbit", "heartbeat_rate", "'x'"),
        ("[DEFAULT]\nreport_interval = soon", "DEFAULT", "report_interval", "'soon'"),
        ("[DEFAULT]\ntransport_url = rabbit://a:$b@h/", "DEFAULT", "transport_url", "write $$"),
    ],
)
def test_a_bad_value_is_told_in_a_sentence_whosever_option_it_is(load, text, group, option, reason):
    error = refusal(load, text)
    assert (error.fields["group"], error.fields["option"]) == (group, option)
    assert reason in str(error)
    assert "LocationInfo" not in str(error)


def test_a_bad_value_of_the_environment_names_its_variable(load, monkeypatch):
    monkeypatch.setenv("OS_DEFAULT__REPORT_INTERVAL", "soon")
    assert "(OS_DEFAULT__REPORT_INTERVAL)" in str(refusal(load, ""))


def test_a_file_that_is_no_text_or_a_directory_is_refused(load, tmp_path):
    path = tmp_path / "latin.conf"
    path.write_bytes(b"[DEFAULT]\nhost = caf\xe9\n")
    with pytest.raises(ConfigurationError, match=r"latin\.conf cannot be read as UTF-8"):
        config.load(["--config-file", str(path)], "agent")
    with pytest.raises(ConfigurationError, match=f"--config-file: {tmp_path}: Is a directory"):
        config.load([f"--config-file={tmp_path}"], "agent")


@pytest.fixture
def unprivileged():
    """Root may read everything: be nobody for the test."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(user)


def test_the_file_of_etc_that_may_not_be_read_is_not_passed_over(load, tmp_path, monkeypatch, request):
    path = tmp_path / "limosa.conf"
    path.write_text("")
    path.chmod(0)
    monkeypatch.setattr(config, "CONFIG_PATH", str(path))
    request.getfixturevalue("unprivileged")
    with pytest.raises(ConfigurationError, match=r"limosa\.conf may not be read by this user"):
        config.load([], "client")


def test_a_client_without_any_configuration_says_what_is_missing(load, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CONFIG_PATH", str(tmp_path / "limosa.conf"))
    with pytest.raises(
        ConfigurationError,
        match=r"transport_url: it is not set, and neither .*client\.conf nor .*limosa\.conf is there",
    ):
        config.load([], "client")
    monkeypatch.setenv("OS_DEFAULT__TRANSPORT_URL", "rabbit://limosa@mq1/")
    assert config.load([], "client").transport_url == "rabbit://limosa@mq1/"


@pytest.mark.parametrize("service", ["conductor", "agent"])
def test_a_service_tells_its_version(load, service, capsys):
    with pytest.raises(SystemExit) as ended:
        config.load(["--version"], service)
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{config.PROGRAMS[service]} {version('limosa')}\n"


def test_a_backend_that_the_service_was_not_started_with_is_refused(load, monkeypatch):
    monkeypatch.delenv("LIMOSA_CONCURRENCY_BACKEND")
    error = refusal(load, "[DEFAULT]\nconcurrency_backend = eventlet")
    assert error.fields["option"] == "concurrency_backend"
    load("[DEFAULT]\nconcurrency_backend = threading")
    load("[DEFAULT]\nconcurrency_backend = eventlet", "client")


def test_the_sample_is_what_the_code_says():
    assert SAMPLE.read_text() == config.render_sample(), "regenerate it: python -m common.config"


def test_every_option_has_a_help_text():
    bare = [option.name for _, options in config.list_opts() for option in options if not option.help]
    assert bare == []
