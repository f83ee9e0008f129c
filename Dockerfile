# The image: one static binary, the CA certificates, nothing else. No shell, no package, no root.
#
#   docker build -t identity-gateway .                                      everything, from the sources
#   buildah bud --target prebuilt -f Dockerfile target/static               the files that `just build` has made
#
# The tag of the build stage's image is pinned; pin its digest too where your registry gives you one:
#   --build-arg RUST_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm@sha256:…
# What is shipped contains nothing of that image but Mozilla's certificates from Debian's package.

ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm

# What both ways of building have in common.
FROM scratch AS frame
# The version of Cargo.toml; a test holds the two equal. The commit is known to who builds.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="identity-gateway" \
      org.opencontainers.image.description="One typed gRPC contract in front of commercial identity-verification providers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="scratch"
# A container's ports are reached from outside it; the program's own defaults are loopback.
ENV IDGW_SERVER__LISTEN=0.0.0.0:50051 \
    IDGW_ADMIN__LISTEN=0.0.0.0:9464
EXPOSE 50051 9464
# A number: Kubernetes' runAsNonRoot cannot judge a name, and there is no /etc/passwd.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/identity-gateway"]
CMD ["serve"]

# From files that are there already: the context is the directory that deploy/image/build-static wrote.
FROM frame AS prebuilt
COPY --chmod=0755 identity-gateway /identity-gateway
COPY --chmod=0644 ca-certificates.crt /etc/ssl/certs/ca-certificates.crt

FROM ${RUST_IMAGE} AS build
ARG REVISION=unknown
ENV IDGW_REVISION=${REVISION}
WORKDIR /src
COPY . .
RUN CA_BUNDLE=required deploy/image/build-static /out

# The default: from the sources.
FROM frame
COPY --from=build --chmod=0755 /out/identity-gateway /identity-gateway
COPY --from=build --chmod=0644 /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
