#!/usr/bin/env python3
"""Signs a release: writes its provenance, its checksums and the signatures of both.

    deploy/release/attest.py FOLDER BUNDLES image=sha256:… chart=sha256:… -- ARGUMENTS…

FOLDER holds the files. It gets `provenance.intoto.jsonl` (an in-toto statement with SLSA's predicate, in a DSSE envelope),
`SHA256SUMS`, `SHA256SUMS.sig`, both again as Sigstore bundles for cosign, and the public key. BUNDLES gets what is attached to
image and chart in a registry. ARGUMENTS are those of the recipe; they are in the provenance.

RELEASE_KEY is the private key (PEM, ECDSA P-256), or RELEASE_KEY_FILE names its file; RELEASE_KEY_PASSWORD, if it has one.
Without them a key is made that exists in this process's memory only. RELEASE_SOURCE, RELEASE_BUILDER and RELEASE_RUN are
the URIs of repository, builder and run, if there are any.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

ROOT = Path(__file__).resolve().parents[2]
IN_TOTO = "application/vnd.in-toto+json"
PROVENANCE, SIGNATURE = "https://slsa.dev/provenance/v1", "https://sigstore.dev/cosign/sign/v1"


def printed(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def private_key() -> tuple[ec.EllipticCurvePrivateKey, str]:
    """The key, and where it is from."""
    # Taken out of the environment: no command that is run here gets it.
    pem = os.environ.pop("RELEASE_KEY", "").encode()
    if file := os.environ.pop("RELEASE_KEY_FILE", None):
        pem = Path(file).read_bytes()
    if not pem:
        return ec.generate_private_key(ec.SECP256R1()), "throw-away"
    password = os.environ.pop("RELEASE_KEY_PASSWORD", "").encode() or None
    try:
        key = serialization.load_pem_private_key(pem, password)
    except (TypeError, ValueError) as error:
        # The library's own words name a format or a password that is missing, never the key.
        sys.exit(f"release: the key cannot be read: {error}")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        sys.exit("release: the key must be ECDSA P-256: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")
    return key, "given"


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """As ssh-keygen shows it; cosign names keys so too."""
    ssh = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).split()[1]
    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(ssh)).digest()).decode().rstrip("=")


def provenance(registry: str | None, arguments: list[str], key: str) -> dict:
    """SLSA's predicate: what was built of what, by what."""
    commit = {"digest": {"gitCommit": printed("git", "rev-parse", "HEAD")}}
    if source := os.environ.get("RELEASE_SOURCE"):
        commit["uri"] = f"git+{source}"
    else:
        commit["name"] = "identity-gateway"
    if printed("git", "status", "--porcelain"):
        commit["annotations"] = {"changed": "files were not as they are committed"}
    rustc = dict(line.split(": ", 1) for line in printed("rustc", "-vV").splitlines() if ": " in line)
    parameters = {"arguments": arguments} | ({"registry": registry} if registry else {})
    builder = {"id": os.environ.get("RELEASE_BUILDER") or "urn:identity-gateway:builder:a-person"}
    details: dict = {"builder": builder}
    if run := os.environ.get("RELEASE_RUN"):
        details["metadata"] = {"invocationId": run}
    return {
        "buildDefinition": {
            "buildType": "urn:identity-gateway:just-release:v1",
            "externalParameters": parameters,
            "internalParameters": {"key": key},
            "resolvedDependencies": [
                commit,
                {"name": "Cargo.lock", "digest": {"sha256": sha256(ROOT / "Cargo.lock")}},
                {"name": f"rustc {rustc['release']}", "digest": {"gitCommit": rustc["commit-hash"]}},
            ],
        },
        "runDetails": details,
    }


def main() -> None:
    separator = sys.argv.index("--")
    folder, bundles, *named = sys.argv[1:separator]
    out = Path(folder)
    images = dict(word.split("=sha256:") for word in named)
    key, origin = private_key()
    public = key.public_key()
    keyid = fingerprint(public)
    signer = CryptoSigner(key, SSlibKey.from_crypto(public, keyid=keyid))
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]

    def write(name: str, content: dict, where: Path = out) -> None:
        (where / name).write_text(json.dumps(content) + "\n")

    def bundle(**content: dict) -> dict:
        """Sigstore's own form, of which cosign reads the signature."""
        media = "application/vnd.dev.sigstore.bundle.v0.3+json"
        return {"mediaType": media, "verificationMaterial": {"publicKey": {"hint": keyid}}} | content

    def signed(subjects: dict[str, str], predicate_type: str, predicate: dict) -> dict:
        """A statement about the subjects, in its envelope."""
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
        envelope = Envelope(json.dumps(statement).encode(), IN_TOTO, {})
        envelope.sign(signer)
        return envelope.to_dict()

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (out / "identity-gateway.pub").write_bytes(public.public_bytes(serialization.Encoding.PEM, form))
    in_registry = {f"{what} identity-gateway:{version}": digest for what, digest in images.items()}
    files = {path.name: sha256(path) for path in out.iterdir()}
    predicate = provenance(os.environ.get("REGISTRY") or None, sys.argv[separator + 1 :], origin)
    envelope = signed(files | in_registry, PROVENANCE, predicate)
    write("provenance.intoto.jsonl", envelope)
    write("provenance.sigstore.json", bundle(dsseEnvelope=envelope))
    write("provenance.sigstore.json", bundle(dsseEnvelope=envelope), Path(bundles))
    for what, digest in images.items():
        subject = {f"{what} identity-gateway:{version}": digest}
        write(f"{what}.sigstore.json", bundle(dsseEnvelope=signed(subject, SIGNATURE, {})), Path(bundles))

    sums = out / "SHA256SUMS"
    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(out.iterdir())]
    sums.write_text("".join(lines))
    signature = bytes.fromhex(signer.sign(sums.read_bytes()).signature)
    (out / "SHA256SUMS.sig").write_bytes(signature)
    digest = base64.b64encode(hashlib.sha256(sums.read_bytes()).digest()).decode()
    message = {
        "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
        "signature": base64.b64encode(signature).decode(),
    }
    write("SHA256SUMS.sigstore.json", bundle(messageSignature=message))

    print(f"release: signed by {keyid}", file=sys.stderr)
    if origin == "throw-away":
        for line in (
            "*** NO KEY WAS GIVEN (RELEASE_KEY, RELEASE_KEY_FILE).",
            "*** Signed with a throw-away key: the signatures show that files were changed, not who made them.",
        ):
            print(f"release: {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
