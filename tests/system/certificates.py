"""A certificate authority for one test, made by openssl."""

from dataclasses import dataclass
from pathlib import Path

from harness import run


@dataclass(frozen=True)
class Certificate:
    """Where a certificate and its key are."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates for a day."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._own = Certificate(directory / "ca.crt", directory / "ca.key")
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"),
            *("-subj", "/CN=Test authority", "-addext", "keyUsage=critical,keyCertSign"),
            *("-keyout", self._own.key, "-out", self._own.certificate),
        )
        # The container's user has to read it.
        self._own.certificate.chmod(0o644)

    @property
    def certificate(self) -> Path:
        return self._own.certificate

    def issue(self, name: str, *subjects: str) -> Certificate:
        """A certificate with these subject alternative names, such as `DNS:localhost` or `URI:spiffe://…`."""
        issued = Certificate(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(subjects)}\nbasicConstraints=CA:FALSE\n")
        _openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", issued.key, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-days", "1", "-in", request, "-extfile", extensions, "-CAcreateserial"),
            *("-CA", self._own.certificate, "-CAkey", self._own.key, "-out", issued.certificate),
        )
        return issued


def _openssl(*words: object) -> None:
    done = run("openssl", *words)
    assert done.returncode == 0, done.stderr
