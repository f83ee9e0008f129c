"""The contract's classes for Python, made from proto/ by grpcio-tools."""

import importlib
import sys
from importlib.resources import files
from pathlib import Path

from google.rpc import error_details_pb2  # noqa: F401  makes the standard details known to protobuf
from grpc_tools import protoc

from clients import SERVICES
from harness import REPOSITORY


def compiled(out: Path) -> dict:
    """Every class, by its full name."""
    protos = sorted((REPOSITORY / "proto").rglob("*.proto"))
    failed = protoc.main(
        [
            "protoc",
            f"--proto_path={REPOSITORY / 'proto'}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            *map(str, protos),
        ]
    )
    assert not failed, "protoc refuses the contract"
    sys.path.insert(0, str(out))
    classes = {}
    for proto in protos:
        package = ".".join(proto.relative_to(REPOSITORY / "proto").parts[:-1])
        for suffix in ("pb2", "pb2_grpc"):
            module = importlib.import_module(f"{package}.{proto.stem}_{suffix}")
            for name, value in vars(module).items():
                if isinstance(value, type):
                    classes[f"{package}.{name}"] = value
    assert all(f"{service}Stub" in classes for service in SERVICES)
    return classes
