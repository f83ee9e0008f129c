"""A channel to the gateway, and the token that goes with each call."""

import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import grpc

from .errors import TypedErrors

# Fits every caller: the library repeats what is never charged.
SERVICE_CONFIG = (files(__package__) / "service-config.json").read_text("utf-8")
# For callers that set a `request_id` on every lookup and create: these are repeated, too.
SERVICE_CONFIG_FOR_REQUEST_IDS = (files(__package__) / "service-config.request-id.json").read_text("utf-8")

# What the gateway sends at most (`server.max_response_bytes`). The library takes 4 MiB unless told otherwise, which is too
# little for images and documents.
_LARGEST_REPLY = 16 * 1024 * 1024


def connect(
    address: str,
    *,
    plaintext: bool = False,
    ca_file: str | os.PathLike[str] | None = None,
    token: Callable[[], str] | None = None,
    service_config: str = SERVICE_CONFIG,
    fail_fast: bool = False,
) -> grpc.Channel:
    """A channel, which connects when it is first needed. Its calls raise `GatewayError`.

    It speaks TLS and trusts the CA certificates (PEM) of `ca_file`, or those that come with the library. `plaintext` is
    for a sandbox on the same machine, or where a mesh encrypts. `token` is asked for a bearer token before each call
    (see `token_file`); it is not sent without TLS. `fail_fast` lets calls fail at once while no gateway can be reached:
    without it they wait until their deadlines.
    """
    if fail_fast:
        service_config = service_config.replace('"waitForReady": true', '"waitForReady": false')
    options = [("grpc.service_config", service_config), ("grpc.max_receive_message_length", _LARGEST_REPLY)]
    if plaintext:
        if token is not None:
            raise ValueError("a token is not sent in the clear: it needs TLS")
        if ca_file is not None:
            raise ValueError("ca_file is for TLS, and plaintext is none")
        channel = grpc.insecure_channel(address, options)
    else:
        authorities = None if ca_file is None else Path(ca_file).read_bytes()
        credentials = grpc.ssl_channel_credentials(authorities)
        if token is not None:
            bearer = grpc.metadata_call_credentials(_Bearer(token))
            credentials = grpc.composite_channel_credentials(credentials, bearer)
        channel = grpc.secure_channel(address, credentials, options)
    return grpc.intercept_channel(channel, TypedErrors())


def token_file(path: str | os.PathLike[str]) -> Callable[[], str]:
    """Reads the token anew for each call: tokens are renewed in place."""
    return lambda: Path(path).read_text("utf-8").strip()


class _Bearer(grpc.AuthMetadataPlugin):
    """Sends the token of a function with each call."""

    def __init__(self, token: Callable[[], str]):
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        try:
            metadata = (("authorization", f"Bearer {self._token()}"),)
        except Exception as error:  # of whoever gives the token: the call fails, and not the library's thread
            callback((), error)
        else:
            callback(metadata, None)
