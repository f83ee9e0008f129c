"""What `just sdk` builds, and what buf.gen.yaml makes for the languages that have no package."""

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import build as sdk
from builds import Build
from harness import REPOSITORY, environment
from stubs import compiled

CONFIGS = {file.name: file.read_text() for file in (REPOSITORY / "deploy" / "client").glob("service-config*.json")}
DOCUMENT = (REPOSITORY / "docs" / "clients.md").read_text()
NINE = {"go", "java", "kotlin", "python", "typescript", "csharp", "php", "ruby", "swift"}


@pytest.fixture(scope="module")
def target(builds: dict[str, Build]) -> Path:
    builds["sdk"].finished()
    return sdk.TARGET


@pytest.fixture(scope="module")
def packages(target: Path) -> dict[str, dict[str, bytes]]:
    """The files in each package."""

    def zipped(file: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(file) as archive:
            return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}

    def tarred(file: Path) -> dict[str, bytes]:
        with tarfile.open(file) as archive:
            return {it.name: archive.extractfile(it).read() for it in archive.getmembers() if it.isfile()}

    name = "identity-gateway-client"
    return {
        "go": zipped(target / "go-proxy" / sdk.GO_MODULE / "@v" / f"v{sdk.VERSION}.zip"),
        "java": zipped(target / "java" / f"{name}-{sdk.VERSION}.jar"),
        "kotlin": zipped(target / "java" / f"{name}-kotlin-{sdk.VERSION}.jar"),
        "python": zipped(target / "python" / f"identity_gateway_client-{sdk.VERSION}-py3-none-any.whl"),
        "typescript": tarred(target / "typescript" / f"{name}-{sdk.VERSION}.tgz"),
    }


def test_a_package_has_the_programs_version_and_the_examples_take_that_one(packages: dict[str, dict[str, bytes]]):
    manifests = {
        "java": "META-INF/maven/idgw/identity-gateway-client/pom.xml",
        "kotlin": "META-INF/maven/idgw/identity-gateway-client-kotlin/pom.xml",
        "python": f"identity_gateway_client-{sdk.VERSION}.dist-info/METADATA",
        "typescript": "package/package.json",
    }
    for language, manifest in manifests.items():
        text = packages[language][manifest].decode()
        assert sdk.VERSION in text and sdk.NO_VERSION not in text, language
    pins = {
        "go/go.mod": f"{sdk.GO_MODULE} v{sdk.VERSION}\n",
        "java/pom.xml": f"<idgw.version>{sdk.VERSION}</idgw.version>",
        "kotlin/pom.xml": f"<idgw.version>{sdk.VERSION}</idgw.version>",
        "node/package.json": f"identity-gateway-client-{sdk.VERSION}.tgz",
        "node/package-lock.json": f"identity-gateway-client-{sdk.VERSION}.tgz",
    }
    assert [name for name, pin in pins.items() if pin not in (REPOSITORY / "examples" / name).read_text()] == []


def test_the_lock_of_the_example_does_not_pin_the_bytes_of_a_package_that_is_built_anew():
    lock = json.loads((REPOSITORY / "examples/node/package-lock.json").read_text())
    ours = lock["packages"]["node_modules/identity-gateway-client"]
    assert "integrity" not in ours, "npm has written it: take it out"
    assert all("integrity" in it for name, it in lock["packages"].items() if name and it is not ours)


def test_a_package_has_the_service_configs_and_what_it_generated_under_a_name_of_ours(
    packages: dict[str, dict[str, bytes]],
):
    ours = {
        "go": f"{sdk.GO_MODULE}@v{sdk.VERSION}/",
        "java": ("idgw/", "META-INF/", "google/protobuf/"),
        "kotlin": ("idgw/", "META-INF/"),
        "python": ("identity_gateway/", f"identity_gateway_client-{sdk.VERSION}.dist-info/"),
        "typescript": "package/",
    }
    for language, files in packages.items():
        assert [name for name in files if not name.startswith(ours[language])] == []
        if language != "kotlin":  # which has Java's beside it
            found = {Path(name).name: text.decode() for name, text in files.items() if Path(name).name in CONFIGS}
            assert found == CONFIGS, language


def test_a_package_has_the_licence(packages: dict[str, dict[str, bytes]]):
    places = {
        "go": f"{sdk.GO_MODULE}@v{sdk.VERSION}/LICENSE",
        "java": "META-INF/LICENSE",
        "kotlin": "META-INF/LICENSE",
        "python": f"identity_gateway_client-{sdk.VERSION}.dist-info/licenses/LICENSE",
        "typescript": "package/LICENSE",
    }
    licence = (REPOSITORY / "LICENSE").read_bytes()
    assert [language for language, place in places.items() if packages[language].get(place) != licence] == []


def test_the_go_module_can_be_fetched_from_its_folder_as_from_a_proxy(target: Path, tmp_path: Path):
    done = subprocess.run(
        ["go", "mod", "download", "-modcacherw", "-json", f"{sdk.GO_MODULE}@v{sdk.VERSION}"],
        cwd=tmp_path,
        env=environment(
            GOPROXY=f"file://{target / 'go-proxy'}", GONOSUMDB="identity-gateway.example", GOMODCACHE=str(tmp_path / "cache")
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (Path(json.loads(done.stdout)["Dir"]) / "connect.go").is_file()


@pytest.fixture(scope="module")
def oldest(target: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Python with the package and the oldest of what it says it runs with, and what checks its types."""
    folder = tmp_path_factory.mktemp("oldest")
    metadata = (target / "build/python/pyproject.toml").read_text()
    floors = re.findall(r'"([\w-]+)>=([\d.]+)[,<\d]*",', metadata.split("dependencies = [")[1])
    assert {name for name, _ in floors} == {"googleapis-common-protos", "grpcio", "protobuf"}
    [wheel] = (target / "python").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pinned = [f"{name}=={version}" for name, version in floors]
    checks = ["mypy==2.4.1", "types-grpcio==1.85.0.20261028", "types-protobuf==7.35.1.20260906"]
    pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, wheel, *pinned, *checks], check=True)
    yield folder / "bin" / "python"


def test_the_python_package_runs_with_the_oldest_versions_that_it_allows(oldest: Path):
    made = "import identity_gateway; from identity_gateway.identity import v1; print(v1.CheckCurpRequest(curp='A').curp)"
    done = subprocess.run([oldest, "-W", "error", "-c", made], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("A\n", 0), done.stderr


def test_the_python_package_has_types(oldest: Path, tmp_path: Path):
    """The example is right by them, and a field that is not there is an error."""
    example = (REPOSITORY / "examples/python/client.py").read_text()
    wrong = example.replace('id="00000000"', "id=0").replace("found.outcome", "found.outcom")
    assert wrong != example
    found = {}
    for name, text in {"client": example, "wrong": wrong}.items():
        (tmp_path / f"{name}.py").write_text(text)
        words = [oldest, "-m", "mypy", "--cache-dir", tmp_path / "cache", f"{name}.py"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        found[name] = re.findall(r"error: (.*)", done.stdout)
        assert done.returncode == bool(found[name]), done.stdout + done.stderr
    assert found["client"] == []
    assert any("outcom" in error for error in found["wrong"]) and any("id" in error for error in found["wrong"])


def test_stubs_of_ones_own_stand_beside_the_python_package(builds: dict[str, Build], tmp_path: Path):
    example = builds["python"].finished()
    compiled(tmp_path)
    both = (
        "from idgw.identity.v1 import identity_service_pb2 as own\n"
        "from identity_gateway.identity import v1\n"
        "assert own.CheckCurpRequest.FromString(v1.CheckCurpRequest(curp='A').SerializeToString()).curp == 'A'\n"
    )
    python = example.path / "venv" / "bin" / "python"
    done = subprocess.run([python, "-c", both], env=environment(PYTHONPATH=str(tmp_path)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# A file that a language makes of the contract whose package does not come of buf.gen.yaml, and words in it.
OTHERS = {
    "csharp": ("IdentityService.cs", "namespace Idgw.Identity.V1 {"),
    "php": ("Idgw/Identity/V1/IdentityServiceClient.php", "namespace Idgw\\Identity\\V1;"),
    "python": ("idgw/identity/v1/identity_service_pb2_grpc.pyi", "class IdentityServiceStub("),
    "ruby": ("idgw/identity/v1/identity_service_services_pb.rb", "rpc :CheckCurp, ::Idgw::Identity::V1::CheckCurpRequest"),
}
# Not to be had from the registries that the tests use.
MISSING = {"grpc_csharp_plugin"}


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_is_generated_by_buf(
    language: str, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = [it for it in sdk.plugins(language) if it.get("local") not in MISSING]
    assert len(found) == {"csharp": 1, "python": 4}.get(language, 2)
    monkeypatch.setattr(sdk, "plugins", lambda _: found)
    sdk.generate(language, tmp_path / "out")
    file, words = OTHERS[language]
    assert words in (tmp_path / "out" / file).read_text()


def test_buf_gen_yaml_has_nine_languages_and_the_document_says_what_was_run_of_each():
    plugins = yaml.safe_load((REPOSITORY / "buf.gen.yaml").read_text())["plugins"]
    assert {it["out"] for it in plugins} == NINE
    assert NINE == set(OTHERS) | {"go", "java", "kotlin", "typescript"} | {"swift"}
    rows = {
        "Go, Java, Kotlin, TypeScript": "generated and compiled",
        "Python": "generated",
        "PHP, Ruby": "generated",
        "C#": "messages generated",
        "Swift": "not generated",
    }
    for languages, what in rows.items():
        assert f"| {languages} | {what}" in DOCUMENT


def test_a_listing_of_the_document_is_in_the_file_that_it_names():
    listings = re.findall(r"^<!-- listing: (\S+) -->\n```\w+\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert listings
    for file, text in listings:
        assert text in (REPOSITORY / file).read_text(), f"{file} has not what docs/clients.md shows"
