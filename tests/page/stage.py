"""A gateway with something to show: three providers of which two have troubles, callers of two rules, a policy file that
was changed for the worse."""

import base64
import collections
import hashlib
import json
import random
import threading
import time
from pathlib import Path

import grpc
from google.protobuf.json_format import ParseDict

from clients import METHODS, SERVICES
from harness import Gateway, Sandbox
from providers import Recorder

KEYS = {name: hashlib.sha256(f"a key of {name}".encode()).hexdigest()[:40] for name in ("shop-7731", "desk-4402")}
POLICY = """[[allow]]
name = "onboarding"
identities = ["shop-7731"]
rpcs = ["*"]
persons = "all"
charged_calls_per_day = 40000

[[allow]]
name = "back-office"
identities = ["desk-4402"]
rpcs = ["person.read", "identity.curp.check", "identity.kenya_id.scrub"]
calls_per_minute = 90
charged_calls_per_day = 5000
"""
# What a mistake in it quotes.
MISTAKE = 'identities = ["desk-4402*a*"]'
FIXTURES = """seed = 7
[[traffic]]
rpc = "VerifyPeDni"
delay = "40ms"
delay_at_most = "320ms"
rate = 0.02
answer = "99000500"
[[traffic]]
rpc = "ScrubKenyaId"
delay = "90ms"
delay_at_most = "900ms"
rate = 0.06
answer = "900000503"
[[traffic]]
rpc = "CheckCurp"
delay = "20ms"
delay_at_most = "180ms"
"""
DAY = 86_400


class Front(Recorder):
    """Passes requests on to the sandbox, with its own token in place of one that says when it expires."""

    def __init__(self, sandbox: Sandbox, token: str):
        super().__init__(sandbox.url)
        # Callers leave, and the gateway closes connections: no word of that.
        self._server.handle_error = lambda *_: None
        self._tokens = {f"Bearer {token}": f"Bearer {sandbox.token('verifik')}"}

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        sent = headers.get("authorization", "")
        return super()._ask(method, path, headers | {"authorization": self._tokens.get(sent, sent)}, body)


def token(left: float) -> str:
    """A JWT, signed by nobody, that expires in so many seconds."""
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return f"{part({'alg': 'none'})}.{part({'exp': int(time.time() + left)})}.c2ln"


class Stage:
    """The gateway, and callers that ask at random, at a rate, until it is closed."""

    def __init__(self, directory: Path, contract: dict):
        self._contract = contract
        self._fixtures = directory / "fixtures.toml"
        self._fixtures.write_text(FIXTURES)
        hashes = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
        (directory / "keys").write_text("".join(f"{name} {value}\n" for name, value in hashes.items()))
        self.policy = directory / "policy.toml"
        self.policy.write_text(POLICY)
        self.token = token(5.2 * DAY)
        self.sandbox = Sandbox(IDGW_SANDBOX__FIXTURES=str(self._fixtures))
        self.front = Front(self.sandbox, self.token)
        credentials = self.sandbox.credentials()["accuauth"]
        api_id, api_secret = (value for _, value in sorted(credentials.items()))
        providers = {
            "VERIFIK__TOKEN": self.token, "VERIFIK__BASE_URL": self.front.url, "VERIFIK__PRICE": "0.35 USD",
            "YOUVERIFY__TOKEN": self.sandbox.token("youverify"), "YOUVERIFY__BASE_URL": self.sandbox.url,
            "YOUVERIFY__PRICE": "120 NGN", "ACCUAUTH__BASE_URL": self.sandbox.url, "ACCUAUTH__PRICE": "2.10 MXN",
            "ACCUAUTH__API_ID": api_id, "ACCUAUTH__API_SECRET": api_secret,
        }
        self.gateway = Gateway(
            flags=(), IDGW_AUTH__MODE="keys", IDGW_AUTH__KEYS__FILE=str(directory / "keys"),
            IDGW_AUTH__POLICY_FILE=str(self.policy), IDGW_SERVER__RELOAD_INTERVAL="100ms", IDGW_SERVER__LAME_DUCK="0s",
            **{f"IDGW_PROVIDERS__{name}": value for name, value in providers.items()},
        )
        self.url = f"http://{self.gateway.admin}/"
        self._channel = grpc.insecure_channel(self.gateway.address)
        self._stubs = {name: contract[f"{name}Stub"](self._channel) for name in SERVICES}
        self._chance = random.Random(11)
        self._over = threading.Event()
        self._load: threading.Thread | None = None

    def call(self, method: str, request: dict, caller: str = "shop-7731", timeout: float = 10.0) -> grpc.Future:
        """Begins a call."""
        service = METHODS[method]
        message = self._contract[f"{service.rpartition('.')[0]}.{method}Request"]()
        metadata = [("authorization", f"Bearer {KEYS[caller]}")]
        return getattr(self._stubs[service], method).future(ParseDict(request, message), timeout=timeout, metadata=metadata)

    def some_calls(self, count: int) -> None:
        """Calls of every kind, and waits for their ends."""
        for call in [self._any_call() for _ in range(count)]:
            call.exception()

    def _any_call(self) -> grpc.Future:
        chance = self._chance
        number = chance.randrange(400)
        caller = "desk-4402" if chance.random() < 0.03 else "shop-7731"
        kenya = {"id_type": "KENYA_ID_TYPE_NATIONAL_ID", "subject_consent": True}
        kinds = [
            (30, "CheckCurp", {"curp": "RAZR811011HVZXPB01", "max_age": "600s"} if number < 260 else {"curp": "AAPR630321HDFLRC09"}),
            (26, "ScrubKenyaId", {"id": f"{21_000_000 + number}"} | kenya),
            (20, "VerifyPeDni", {"document_number": "71640001"}),
            (2, "VerifyPeDni", {"document_number": f"{71_650_000 + number:08}"}),
            (1, "VerifyPeDni", {"document_number": "99000900"}),
            (1, "ScrubKenyaId", {"id": "900000503"} | kenya),
            (2, "ScrubKenyaId", {"id": "?"} | kenya),
            (4, "VerifyPeForeignerId", {"document_number": "005015372", "birthdate": "1993-08-16"}),
            (2, "GetPerson", {"id": "person_nobody"}),
        ]
        [(_, method, request)] = chance.choices(kinds, [weight for weight, *_ in kinds])
        # Some callers leave before the answer.
        return self.call(method, request, caller, timeout=0.3 if chance.random() < 0.03 else 10.0)

    def load(self, rate: float) -> None:
        """Goes on calling, so many times a second, a little more and a little less."""

        def work() -> None:
            begun = time.monotonic()
            # A call that nobody holds is cancelled.
            calls = collections.deque(maxlen=int(rate) * 20)
            while not self._over.is_set():
                calls.append(self._any_call())
                swing = 1 + 0.5 * random.uniform(-1, 1) + 0.3 * ((time.monotonic() - begun) % 120 > 70)
                self._over.wait(1 / (rate * swing))

        self._load = threading.Thread(target=work, daemon=True)
        self._load.start()

    def trouble(self) -> None:
        """Kenya's registry fails more often than not, and the circuit opens now and then."""
        self._fixtures.write_text(FIXTURES.replace("rate = 0.06", "rate = 0.62"))

    def no_more_trouble(self) -> None:
        self._fixtures.write_text(FIXTURES)

    def spoil_the_policy(self) -> None:
        """A mistake in the policy file, which is rejected."""
        self.policy.write_text(POLICY.replace('identities = ["desk-4402"]', MISTAKE))
        self.gateway.wait_for_log("reload rejected, keeping the previous version")

    def close(self) -> None:
        self._over.set()
        if self._load:
            self._load.join()
        self._channel.close()
        self.gateway.__exit__()
        self.front.__exit__()
        self.sandbox.__exit__()
