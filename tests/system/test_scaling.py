"""The figures of docs/scaling.md are those of the simulation, and the simulation is the program."""

import random
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clients import CallFailed, Python
from harness import PATIENCE, REPOSITORY, Gateway, Sandbox, environment, free_port, run, wait_for

sys.path.insert(0, str(REPOSITORY / "examples" / "scaling"))
import simulate  # noqa: E402  found by the line above


class Redis:
    """A real Redis on a free port."""

    def __init__(self, directory: Path):
        self.port = str(free_port())
        self.process = subprocess.Popen(
            ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--dir", directory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment(),
        )
        self.url = f"redis://127.0.0.1:{self.port}"
        wait_for("Redis", self._answers)

    def _answers(self) -> bool | None:
        assert self.process.poll() is None, "redis-server ended"
        return True if self.ask("ping") == "PONG" else None

    def ask(self, *words: str) -> str:
        return run("redis-cli", "-p", self.port, *words).stdout.strip()

    def commands(self) -> Counter:
        """How often each command was called."""
        lines = [line for line in self.ask("info", "commandstats").splitlines() if line.startswith("cmdstat_")]
        return Counter(
            {line.removeprefix("cmdstat_").partition(":")[0]: int(line.partition("calls=")[2].partition(",")[0]) for line in lines}
        )

    def sizes(self) -> list[int]:
        """What Redis needs for each entry that stays, the smallest first. A mark lives for milliseconds, and may end while it is asked."""
        staying = [key for key in self.ask("keys", "*").splitlines() if int(self.ask("pttl", key)) > 60_000]
        return sorted(int(self.ask("memory", "usage", key)) for key in staying)

    def __enter__(self) -> "Redis":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE)


@pytest.fixture
def redis() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory() as directory, Redis(Path(directory)) as redis:
        yield redis


def settings(sandbox: Sandbox, **more: str) -> dict[str, str]:
    return {
        "IDGW_AUTH__MODE": "none",
        "IDGW_PROVIDERS__VERIFIK__BASE_URL": sandbox.url,
        "IDGW_PROVIDERS__VERIFIK__TOKEN": sandbox.token("verifik"),
    } | more


def shared(redis: Redis) -> dict[str, str]:
    # A cache that answers late is a miss: a busy machine must not decide what is counted here.
    return {"IDGW_CACHE__URL": redis.url, "IDGW_CACHE__KEY": "a key of this test, long enough for it", "IDGW_CACHE__TIMEOUT": "1s"}


def test_the_tables_of_the_document_are_what_the_simulation_prints():
    document = simulate.DOCUMENT.read_text()
    assert document == simulate.written(document, simulate.tables()), "run `just scaling --write`"


@pytest.mark.parametrize("with_redis", [False, True], ids=["alone", "redis"])
def test_replicas_share_what_the_simulation_says(with_redis: bool, sandbox: Sandbox, redis: Redis, contract: dict, figures):
    count, calls, persons = 3, 120, 40
    model = simulate.Replicas(count, with_redis)
    chance = random.Random(simulate.SEED)
    more = shared(redis) if with_redis else {}
    with ExitStack() as stack:
        replicas = [
            Python(stack.enter_context(Gateway(flags=(), **settings(sandbox, **more))).address, contract)
            for _ in range(count)
        ]
        if with_redis:
            wait_for("the replicas to be connected", lambda: redis.commands()["ping"] > count or None)
        before, sources = redis.commands(), Counter()
        for now in range(calls):
            replica, person = chance.randrange(count), chance.randrange(1, persons)
            model.ask(replica, person, now)
            request = {"document_number": f"{person:09}", "birthdate": "1993-08-16", "max_age": "3600s"}
            sources[replicas[replica].call("VerifyPeForeignerId", request)["verification"]["source"]] += 1
            # It is written in the background; the next may ask at another replica.
            wait_for("the answer in Redis", lambda: redis.commands()["set"] - before["set"] == model.did["SET"] or None)
        did = redis.commands() - before
        assert sandbox.ledger()["verifik"]["received"] == model.did["provider"]
        assert sources == Counter(
            SOURCE_PROVIDER=model.did["provider"], SOURCE_CACHE=model.did["memory"] + model.did["redis"]
        )
        assert {name: did[name] for name in ("get", "set")} == {"get": model.did["GET"], "set": model.did["SET"]}
        if with_redis:
            figures["an answer in Redis, nobody found"] = f"{redis.sizes()[0]} bytes"
            # The sandbox's own person, the only one that is found.
            found = {"document_number": "005015372", "birthdate": "1993-08-16", "max_age": "3600s"}
            assert replicas[0].call("VerifyPeForeignerId", found)["record"]
            wait_for("the record in Redis", lambda: redis.commands()["set"] - before["set"] > model.did["SET"] or None)
            figures["an answer in Redis, a record"] = f"{redis.sizes()[-1]} bytes"


def test_a_lookup_that_is_sent_costs_redis_two_scripts(sandbox: Sandbox, redis: Redis, contract: dict):
    with Gateway(flags=(), **settings(sandbox, **shared(redis))) as gateway:
        python = Python(gateway.address, contract)
        wait_for("the replica to be connected", lambda: redis.commands()["ping"] > 1 or None)
        before = redis.commands()
        assert python.call("VerifyPeForeignerId", {"document_number": "005015372", "birthdate": "1993-08-16"})["record"]
        # The second one follows when the reply has arrived.
        wait_for("both scripts", lambda: (redis.commands() - before)["eval"] >= 2 or None)
        did = redis.commands() - before
        assert (did["eval"], did["get"], did["set"]) == (2, 0, 0)


def test_a_create_costs_redis_a_few_commands_and_happens_once_at_all_replicas(
    sandbox: Sandbox, redis: Redis, contract: dict, figures
):
    with ExitStack() as stack:
        more = shared(redis)
        first, second = [
            Python(stack.enter_context(Gateway(flags=(), **settings(sandbox, **more))).address, contract)
            for _ in range(2)
        ]
        request = {"person": {"given_name": "Ada", "family_name": "Prueba"}, "request_id": str(uuid.uuid4())}
        before = redis.commands()
        created = first.call("CreatePerson", request)
        commands = redis.commands() - before
        assert second.call("CreatePerson", request) == created
        assert sandbox.ledger()["verifik"]["received"] == 1
    told = {name: number for name, number in sorted(commands.items()) if name in ("set", "get", "eval", "pttl", "del")}
    figures["Redis commands of a create"] = ", ".join(f"{number} {name}" for name, number in told.items())
    assert sum(told.values()) <= 4


def test_each_replica_has_a_rate_limit_of_its_own(sandbox: Sandbox, contract: dict):
    """What docs/scaling.md divides by: two replicas send twice of what one may."""
    limit = {"IDGW_PROVIDERS__VERIFIK__RATE_PER_SECOND": "1", "IDGW_PROVIDERS__VERIFIK__RATE_BURST": "5"}
    with Gateway(flags=(), **settings(sandbox, **limit)) as one, Gateway(flags=(), **settings(sandbox, **limit)) as two:
        taken = []
        for number, gateway in enumerate((one, two)):
            python, accepted = Python(gateway.address, contract), 0
            for call in range(1, 9):
                try:
                    person = f"{number * 100 + call:09}"
                    python.call("VerifyPeForeignerId", {"document_number": person, "birthdate": "1993-08-16"})
                    accepted += 1
                except CallFailed as failed:
                    assert failed.details["ErrorInfo"]["reason"] == "RATE_LIMITED"
            taken.append(accepted)
    assert all(accepted in (5, 6) for accepted in taken), taken
