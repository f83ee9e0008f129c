"""Makes the contract's classes from ../../proto into stubs/."""

from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PROTO = HERE.parents[1] / "proto"
STUBS = HERE / "stubs"

STUBS.mkdir(exist_ok=True)
raise SystemExit(
    protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            f"--python_out={STUBS}",
            f"--grpc_python_out={STUBS}",
            *map(str, sorted(PROTO.rglob("*.proto"))),
        ]
    )
)
