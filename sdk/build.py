"""Builds the client packages into target/sdk/: `just sdk`, or `just sdk go python` for some of them.

For each language: what stands in sdk/LANGUAGE is copied to target/sdk/build/LANGUAGE, with the version of Cargo.toml and
the licence; `buf generate` adds the stubs, with the plug-ins of buf.gen.yaml (for Python, protoc alone); deploy/client adds
the service configs; and the language's own tool makes the package. The plug-ins, in pinned versions, come from the
languages' registries.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = REPOSITORY / "sdk"
TARGET = Path(os.environ.get("IDGW_SDK_TARGET", REPOSITORY / "target" / "sdk"))
BIN = TARGET / "bin"
VENV = TARGET / "venv"
VERSION = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["version"]
# What stands for the version in the sources.
NO_VERSION = "0.0.0-sdk"
SERVICE_CONFIGS = sorted((REPOSITORY / "deploy" / "client").glob("service-config*.json"))

GO_MODULE = "identity-gateway.example/gateway"
GO_PLUGINS = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
)
# Two languages may want the same.
INSTALLING: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def run(*words: object, folder: Path = REPOSITORY, **variables: str) -> None:
    """Runs a command, which must succeed; what it says is shown only if it does not."""
    path = os.pathsep.join([str(BIN), str(VENV / "bin"), str(TARGET / "build/typescript/node_modules/.bin")])
    environment = os.environ | {"PATH": path + os.pathsep + os.environ["PATH"]} | variables
    command = [str(word) for word in words]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        raise SystemExit(f"sdk: {' '.join(command)} has failed\n{done.stdout}")


def generators(name: str, wanted: str, install: Callable[[], None]) -> None:
    """Installs what generates, unless exactly that is there. The mark is written last."""
    mark = BIN / f"{name}.installed"
    with INSTALLING[name]:
        if not mark.is_file() or mark.read_text() != wanted:
            install()
            mark.write_text(wanted)


def install_go() -> None:
    for plugin in GO_PLUGINS:
        run("go", "install", plugin, GOBIN=str(BIN), GOFLAGS="")


def install_protoc() -> None:
    machine = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch_64", "arm64": "aarch_64"}[platform.machine().lower()]
    system = {"Linux": "linux", "Darwin": "osx"}[platform.system()]
    copy = ("mvn", "--batch-mode", "--quiet", "-f", SOURCES / "generators.pom.xml", "dependency:copy")
    run(*copy, f"-Dplatform={system}-{machine}", f"-Dbin={BIN}")
    kotlin = BIN / "protoc-gen-grpc-kotlin"
    kotlin.write_text(f'#!/bin/sh\nexec java -jar "{kotlin}.jar"\n')
    for program in (BIN / "protoc", BIN / "protoc-gen-grpc-java", kotlin):
        program.chmod(0o755)


def install_python() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    run(sys.executable, "-m", "venv", VENV)
    pip = (VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "-r", SOURCES / "python" / "generators.txt")


def need_protoc() -> None:
    generators("protoc", (SOURCES / "generators.pom.xml").read_text(), install_protoc)


def plugins(language: str) -> list[dict]:
    """The plug-ins of a language in buf.gen.yaml."""
    return [it for it in yaml.safe_load((REPOSITORY / "buf.gen.yaml").read_text())["plugins"] if it["out"] == language]


def generate(language: str, out: Path, module: Path = REPOSITORY) -> None:
    """Writes what a language makes of the contract, or of another module, into a folder."""
    found = [it | {"out": str(out)} for it in plugins(language)]
    assert found, f"buf.gen.yaml has no plug-in for {language}"
    run("buf", "generate", module, "--template", json.dumps({"version": "v2", "plugins": found}))


def stage(language: str, configs: str, *kept: str) -> Path:
    """A folder with the sources of a package, its version, the licence, and the service configs in the folder of that name."""
    folder = TARGET / "build" / language
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name not in kept:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(SOURCES / language, folder, dirs_exist_ok=True)
    for manifest in ("pom.xml", "package.json", "package-lock.json", "pyproject.toml"):
        if (folder / manifest).is_file():
            (folder / manifest).write_text((folder / manifest).read_text().replace(NO_VERSION, VERSION))
    licence = folder / ("src/main/resources/META-INF" if (folder / "pom.xml").is_file() else ".")
    licence.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "LICENSE", licence)
    if configs:
        (folder / configs).mkdir(parents=True, exist_ok=True)
        for config in SERVICE_CONFIGS:
            shutil.copy(config, folder / configs)
    return folder


def publish(language: str, *files: Path) -> None:
    """Puts the packages where they are looked for, and nothing of an earlier version beside them."""
    folder = TARGET / language
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)


def one(folder: Path, pattern: str) -> Path:
    [file] = folder.glob(pattern)
    return file


def go() -> None:
    """A module: target/sdk/go for a `replace`, target/sdk/go-proxy as `GOPROXY=file://…`."""
    generators("go", "\n".join(GO_PLUGINS), install_go)
    folder = stage("go", ".")
    generate("go", folder)
    run("go", "vet", "./...", folder=folder)
    shutil.rmtree(TARGET / "go", ignore_errors=True)
    shutil.copytree(folder, TARGET / "go")

    shutil.rmtree(TARGET / "go-proxy", ignore_errors=True)
    versions = TARGET / "go-proxy" / GO_MODULE / "@v"
    versions.mkdir(parents=True)
    name = f"v{VERSION}"
    (versions / "list").write_text(f"{name}\n")
    (versions / f"{name}.info").write_text(json.dumps({"Version": name}))
    shutil.copy(folder / "go.mod", versions / f"{name}.mod")
    with zipfile.ZipFile(versions / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(it for it in folder.rglob("*") if it.is_file()):
            # With a date of its own, so that the same sources make the same bytes.
            entry = zipfile.ZipInfo(f"{GO_MODULE}@{name}/{file.relative_to(folder).as_posix()}", (1980, 2, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())


def java() -> None:
    """Two jars: the package of Java, and what Kotlin adds to it."""
    need_protoc()
    for language in ("java", "kotlin"):
        folder = stage(language, "src/main/resources/idgw/client" if language == "java" else "")
        generate(language, folder / "src" / "main" / language)
    shutil.copy(SOURCES / "pom.xml", TARGET / "build")
    run("mvn", "--batch-mode", "--quiet", "package", folder=TARGET / "build")
    publish("java", *(one(TARGET / "build" / it / "target", f"*-{VERSION}.jar") for it in ("java", "kotlin")))


def python() -> None:
    """A wheel."""
    generators("python", (SOURCES / "python" / "generators.txt").read_text(), install_python)
    folder = stage("python", "identity_gateway")
    # By protoc alone: buf adds names for JSON to the descriptors, and Python takes no second copy of a file that differs,
    # such as that of a caller's own stubs.
    made = folder / "made"
    made.mkdir()
    outs = [f"--{plugin}_out={made}" for plugin in ("python", "grpc_python")]
    outs += [f"--{plugin}_out=quiet:{made}" for plugin in ("mypy", "mypy_grpc")]
    proto = REPOSITORY / "proto"
    run(VENV / "bin" / "python", "-m", "grpc_tools.protoc", f"--proto_path={proto}", *outs, *sorted(proto.rglob("*.proto")))
    for package in sorted((folder / "made" / "idgw").iterdir()):
        shutil.copytree(package, folder / "identity_gateway" / package.name)
    shutil.rmtree(folder / "made")
    # The contract's `idgw` is a package of ours, `identity_gateway`: who generates `idgw` for himself has it beside ours.
    for file in [*folder.rglob("*_pb2*.py"), *folder.rglob("*_pb2*.pyi")]:
        imports = re.compile(r"^(from|import) idgw\.", re.MULTILINE)
        text = imports.sub(r"\1 identity_gateway.", file.read_text())
        if file.suffix == ".pyi":
            text = re.sub(r"\bidgw\.(\w+\.v\d+\.\w+_pb2)\b", r"identity_gateway.\1", text)
        file.write_text(text)
    for version in sorted(folder.glob("identity_gateway/*/v*/")):
        (version.parent / "__init__.py").touch()
        (version / "__init__.py").write_text(reexports(version))
    wheel = (VENV / "bin" / "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", ".")
    run(*wheel, folder=folder, SOURCE_DATE_EPOCH="318211200")
    publish("python", one(folder / "dist", "*.whl"))


def reexports(package: Path) -> str:
    """The `__init__.py` of a package of the contract: every message, enum, value and stub of its files."""
    path = package.relative_to(package.parents[1])
    image = subprocess.run(["buf", "build", REPOSITORY, "-o", "-#format=json"], check=True, stdout=subprocess.PIPE)
    files = [it for it in json.loads(image.stdout)["file"] if it["name"].startswith(f"idgw/{path.as_posix()}/")]
    lines = []
    for file in files:
        module = Path(file["name"]).stem
        names = [it["name"] for kind in ("messageType", "enumType", "extension") for it in file.get(kind, [])]
        names += [value["name"] for enum in file.get("enumType", []) for value in enum["value"]]
        stubs = [f"{it['name']}Stub" for it in file.get("service", [])]
        for suffix, exported in (("_pb2", names), ("_pb2_grpc", stubs)):
            # `as` says to type checkers that the name is meant to be taken from here.
            lines += [f"from .{module}{suffix} import {name} as {name}\n" for name in sorted(exported)]
    return f'"""The contract\'s package {files[0]["package"]}."""\n\n' + "".join(lines)


def typescript() -> None:
    """A tarball of npm."""
    folder = stage("typescript", ".", "node_modules")
    lock = (SOURCES / "typescript" / "package-lock.json").read_text()
    install = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    generators("typescript", lock, lambda: run(*install, folder=folder))
    generate("typescript", folder / "src")
    generate("typescript", folder / "src", folder / "proto")
    for package in sorted((folder / "src" / "idgw").glob("*/v*/")):
        area, version = package.parts[-2:]
        (folder / "src" / area).mkdir()
        lines = [f"export * from '../idgw/{area}/{version}/{it.stem}.js';\n" for it in sorted(package.glob("*_pb.ts"))]
        (folder / "src" / area / f"{version}.ts").write_text("".join(lines))
    run("npm", "run", "build", folder=folder)
    run("npm", "pack", folder=folder)
    publish("typescript", one(folder, "*.tgz"))


LANGUAGES = {"go": go, "java": java, "python": python, "typescript": typescript}


def main() -> None:
    names = sys.argv[1:] or list(LANGUAGES)
    if unknown := set(names) - set(LANGUAGES):
        sys.exit(f"sdk: {', '.join(sorted(unknown))}: the packages are {', '.join(LANGUAGES)}")
    BIN.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(names)) as builders:
        for done in [builders.submit(LANGUAGES[name]) for name in names]:
            done.result()
    for name in names:
        for file in sorted(it for it in (TARGET / name).iterdir() if name != "go"):
            print(file.relative_to(REPOSITORY) if file.is_relative_to(REPOSITORY) else file)
        if name == "go":
            print(TARGET / name)


if __name__ == "__main__":
    main()
