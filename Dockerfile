# The image of the operator:                             docker build -t evs-operator .
# That of the simulator, for trials in a cluster:        docker build -t evs-simulator --target simulator .
# With buildah, podman or kaniko likewise.
#
# Both base images need the same minor version of Python: the packages hold compiled code. `.ci/pin-images` writes their
# digests into this file, dependabot keeps them, and a release refuses to be built without (docs/releasing.md). Others
# may be named with --build-arg.
ARG BUILD_IMAGE=python
ARG BASE_IMAGE=distroless
FROM docker.io/library/python:3.11-slim-bookworm AS python
FROM gcr.io/distroless/python3-debian12:nonroot AS distroless

FROM ${BUILD_IMAGE} AS build
# A file of certificates that pip trusts, where a proxy stands before the package index; nothing of it stays.
ARG PIP_CERT=
WORKDIR /build
COPY requirements/run.txt .
RUN python3 -m pip install --quiet --no-compile --no-cache-dir --require-hashes --target=/opt/evs-operator -r run.txt \
 && rm -rf /opt/evs-operator/bin
COPY operator/evs_operator /opt/evs-operator/evs_operator
COPY operator/evs_webhook /opt/evs-operator/evs_webhook
# For `kubectl exec`: on the PATH of the image, which has no shell.
RUN mkdir -p /path \
 && printf '#!/usr/bin/python3\nimport sys\nfrom evs_operator.cli import main\nsys.exit(main())\n' > /path/evs-operator \
 && chmod 755 /path/evs-operator && touch -d @0 /path/evs-operator
# Compiled once, checked by nothing at run time: the root file system is read-only, and the same sources give the same
# bytes. The generated models of the kubernetes package are never loaded.
RUN find /opt/evs-operator -name __pycache__ -prune -exec rm -rf {} + \
 && python3 -m compileall -q --invalidation-mode unchecked-hash -x 'kubernetes/(aio/)?client/(models|api)/' /opt/evs-operator

FROM ${BASE_IMAGE} AS operator
ARG VERSION=0.0.0
ARG REVISION=
LABEL org.opencontainers.image.title="evs-operator" \
      org.opencontainers.image.description="Follows Elastic Volume Service jobs and tells the truth about them in .status" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/evs-operator /opt/evs-operator
COPY --from=build /path/evs-operator /usr/local/bin/evs-operator
COPY LICENSE /opt/evs-operator/LICENSE
# HOME: the kubernetes package wants one, also where no user has the number below. MALLOC_ARENA_MAX: one event loop needs
# one arena, more only hold memory back.
ENV HOME=/tmp PYTHONPATH=/opt/evs-operator PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/bin/python3", "-m", "evs_operator"]
CMD ["run"]

# A cloud that does what it is told has no place beside credentials: it is an image of its own, and is not released.
FROM operator AS simulator
LABEL org.opencontainers.image.title="evs-simulator" \
      org.opencontainers.image.description="Answers as Elastic Volume Service does, for trials; no cloud"
COPY operator/evs_simulator /opt/evs-operator/evs_simulator
ENTRYPOINT ["/usr/bin/python3", "-m", "evs_simulator"]
CMD ["--address", "0.0.0.0:8080"]

# The last stage is what is built where no --target is named.
FROM operator
