"""A registry on this machine, as a forge's is: Debian's docker-registry over TLS, with a password for readers and writers."""

import base64
import json
import socket
from pathlib import Path

from certificates import Authority
from harness import Program, free_port, run

USER, PASSWORD = "publisher", "a-password"
CONFIG = """\
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: "{folder}/registry"}}}}
http: {{addr: "{address}", tls: {{certificate: "{certificate}", key: "{key}"}}}}
auth: {{htpasswd: {{realm: releases, path: "{folder}/htpasswd"}}}}
"""


class Registry(Program):
    """Serving at `address`; `name` is what a release is pushed to. `trust` are the variables of who trusts its certificate."""

    def __init__(self, folder: Path):
        authority = Authority(folder / "authority")
        own = authority.issue("registry", "IP:127.0.0.1")
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.name = f"{self.address}/acme"
        self.trust = {"SSL_CERT_FILE": str(authority.certificate)}
        # bcrypt, as the registry wants it, by the C library's own crypt.
        salt = "$2y$05$" + "a" * 22
        hashed = run("perl", "-e", "print crypt($ARGV[0], $ARGV[1])", PASSWORD, salt).stdout
        assert hashed.startswith("$2y$"), f"no bcrypt: {hashed}"
        (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
        config = folder / "registry.yml"
        config.write_text(
            CONFIG.format(folder=folder, address=self.address, certificate=own.certificate, key=own.key)
        )
        self.program = ("docker-registry",)
        super().__init__("serve", str(config))
        try:
            self.wait_for("its port", lambda: self._listens(port) or None)
        except BaseException:
            self.__exit__()
            raise

    @staticmethod
    def _listens(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def login(self, home: Path) -> None:
        """What `docker login` leaves in a home."""
        (home / ".docker").mkdir(parents=True)
        credential = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (home / ".docker" / "config.json").write_text(json.dumps({"auths": {self.address: {"auth": credential}}}))
