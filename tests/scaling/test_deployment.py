"""The files of examples/scaling/ fit together, and what reads such files accepts them.

No container is started and no chart is rendered: the compose file goes through a parser of the Compose Specification,
the Dockerfile through its linter, and the Helm values are read as YAML.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from etl_assets import SQLiteDestination, SqlSource, Stream, StreamOptions, stream_assets
from tests.scaling.machines import EXAMPLE, PROGRAMS
from tests.servers import missing

USERS = Stream("users", primary_key="id", replication_key="id")
COMPOSE = EXAMPLE / "docker-compose.yaml"
PARSE = """
import sys
from compose_spec import PyOptions
options = PyOptions()
options.apply_merge = True
options.from_yaml(open(sys.argv[1]).read()).validate()
"""


def read(name: str) -> Any:
    return yaml.safe_load((EXAMPLE / name).read_text(encoding="utf-8"))


def text(name: str) -> str:
    return (EXAMPLE / name).read_text(encoding="utf-8")


class TestTogether:
    def test_the_containers_get_each_variable_that_the_project_reads(self) -> None:
        wanted = {
            *re.findall(r'EnvVar\("(\w+)"\)', text("definitions.py")),
            *re.findall(r"env: (\w+)", text("celery.yaml") + text("dagster.yaml")),
        }
        assert wanted == {"SHOP_URL", "WAREHOUSE_URL", "BROKER_URL", "DAGSTER_POSTGRES_URL"}
        for name in ("code", "webserver", "daemon", "worker"):
            assert wanted <= {*read("docker-compose.yaml")["services"][name]["environment"]}, name

    def test_a_worker_takes_the_steps_of_the_streams(self) -> None:
        (queue,) = re.findall(r'"dagster-celery/queue": "(\w+)"', text("definitions.py"))
        command = read("docker-compose.yaml")["services"]["worker"]["command"]
        assert command[command.index("--queue") + 1] == queue
        assert command[command.index("--config-yaml") + 1] == "celery.yaml"

    def test_a_step_of_a_lost_worker_goes_back_and_one_that_takes_long_does_not(self) -> None:
        source = read("celery.yaml")["execution"]["config"]["config_source"]
        assert source == {"task_acks_late": True, "task_reject_on_worker_lost": True}
        assert "consumer_timeout = 86400000" in text("rabbitmq.conf").splitlines()
        volumes = read("docker-compose.yaml")["services"]["rabbitmq"]["volumes"]
        assert any(one.startswith("./rabbitmq.conf:/etc/rabbitmq/conf.d/") for one in volumes)

    def test_the_events_go_through_the_driver_that_can_write_them(self) -> None:
        environment = read("docker-compose.yaml")["services"]["worker"]["environment"]
        assert environment["DAGSTER_POSTGRES_URL"].startswith("postgresql+psycopg2://")
        assert read("values.yaml")["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"

    def test_the_image_holds_what_is_read_in_it(self) -> None:
        copied = set(re.findall(r"[\w./]+\.(?:py|yaml|txt)", "".join(
            line for line in text("Dockerfile").splitlines(keepends=True) if line.startswith("COPY")
        )))  # fmt: skip
        assert copied == {
            "celery.yaml", "dagster.yaml", "definitions.py", "requirements.txt", "workspace.yaml",
        }  # fmt: skip
        assert all((EXAMPLE / name).is_file() for name in copied)
        (server,) = read("workspace.yaml")["load_from"]
        assert server["grpc_server"]["host"] in read("docker-compose.yaml")["services"]
        assert str(server["grpc_server"]["port"]) in text("Dockerfile")

    def test_helm_starts_the_same_image_with_the_same_file(self) -> None:
        values = read("values.yaml")
        (deployment,) = values["dagster-user-deployments"]["deployments"]
        built = read("docker-compose.yaml")["services"]["code"]["image"]
        image = deployment["image"]
        assert f"{image['repository']}:{image['tag']}".endswith(f"/{built}")
        (workdir,) = re.findall(r"^WORKDIR (\S+)$", text("Dockerfile"), re.MULTILINE)
        arguments = deployment["dagsterApiGrpcArgs"]
        assert arguments[arguments.index("--python-file") + 1] == f"{workdir}/definitions.py"
        assert deployment["includeConfigInLaunchedRuns"] == {"enabled": True}
        launcher = values["runLauncher"]
        assert [*launcher["config"]] == [launcher["type"][0].lower() + launcher["type"][1:]]

    def test_dagster_takes_what_helm_adds_to_the_instance(self, tmp_path: Path) -> None:
        values = read("values.yaml")
        assert values["dagsterDaemon"]["runCoordinator"] == {"enabled": False}
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(values["additionalInstanceConfig"]))
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            limits = instance.get_concurrency_config()
        assert limits.pool_config.default_pool_limit == 8
        assert limits.run_queue_config is not None
        assert limits.run_queue_config.max_concurrent_runs == 10


def test_what_a_pod_needs_is_with_each_step_of_the_stream() -> None:
    small, large = (
        {"dagster-k8s/config": {"container_config": {"resources": {"requests": {"memory": size}}}}}
        for size in ("512Mi", "8Gi")
    )
    users, events = stream_assets(
        SqlSource(name="crm", url="sqlite:///crm.db", streams=[USERS, Stream("events")]),
        destination=SQLiteDestination("warehouse.sqlite"),
        defaults=StreamOptions(op_tags=small),
        options={"users": StreamOptions(op_tags=large, split=2)},
    )
    defs = dg.Definitions(assets=[users, events])
    steps = {
        node.name: yaml.safe_load(node.tags["dagster-k8s/config"])
        for node in defs.resolve_implicit_global_asset_job_def().graph.iterate_op_defs()
    }
    assert steps == {
        "crm__events": small["dagster-k8s/config"],
        **{
            f"crm__users__{part}": large["dagster-k8s/config"]
            for part in ("plan", "range", "publish")
        },
    }


@pytest.fixture
def programs() -> None:
    if not (PROGRAMS / "hadolint").exists():
        missing("no .venv-scaling: run `make .venv-scaling`")


def lint(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.full
@pytest.mark.usefixtures("programs")
class TestLinters:
    def test_the_dockerfile_passes_its_linter(self, tmp_path: Path) -> None:
        hadolint = str(PROGRAMS / "hadolint")
        done = lint(hadolint, str(EXAMPLE / "Dockerfile"))
        assert (done.returncode, done.stdout) == (0, "")
        (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /opt && pip install x\n")
        assert lint(hadolint, str(tmp_path / "Dockerfile")).returncode == 1

    def test_the_compose_file_is_one(self, tmp_path: Path) -> None:
        python = str(PROGRAMS / "python")
        done = lint(python, "-c", PARSE, str(COMPOSE))
        assert done.returncode == 0, done.stderr
        wrong = COMPOSE.read_text(encoding="utf-8").replace("service_healthy", "healthy")
        (tmp_path / "compose.yaml").write_text(wrong, encoding="utf-8")
        assert "healthy" in lint(python, "-c", PARSE, str(tmp_path / "compose.yaml")).stderr

    @pytest.mark.parametrize("service", ["webserver", "daemon", "worker"])
    def test_a_command_has_the_options_that_it_is_started_with(self, service: str) -> None:
        words = read("docker-compose.yaml")["services"][service]["command"]
        own = words[: words.index("--")] if "--" in words else words
        options = [word for word in own if word.startswith("--")]
        program, *verbs = own[: own.index(options[0])]
        shown = lint(str(PROGRAMS / program), *verbs, "--help").stdout
        assert [one for one in options if f"{one} " not in shown] == []
