# The image of the operator (and of the simulator, for those who try it out):
#   docker build -t evs-operator .          or buildah, podman, kaniko
# Both stages need the same minor version of Python: the packages hold compiled code. Name other images, or these by
# digest, with --build-arg; the release does (.github/workflows/release.yml).
ARG BUILD_IMAGE=docker.io/library/python:3.11-slim-bookworm
ARG BASE_IMAGE=gcr.io/distroless/python3-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
# A file of certificates that pip trusts, where a proxy stands before the package index; nothing of it stays.
ARG PIP_CERT=
WORKDIR /build
COPY requirements/run.txt .
RUN python3 -m pip install --quiet --no-compile --no-cache-dir --require-hashes --target=/opt/evs-operator -r run.txt \
 && rm -rf /opt/evs-operator/bin
COPY operator/evs_operator /opt/evs-operator/evs_operator
COPY operator/evs_simulator /opt/evs-operator/evs_simulator
# Compiled once, checked by nothing at run time: the root file system is read-only, and the same sources give the same
# bytes. The generated models of the kubernetes package are never loaded.
RUN find /opt/evs-operator -name __pycache__ -prune -exec rm -rf {} + \
 && python3 -m compileall -q --invalidation-mode unchecked-hash -x 'kubernetes/(aio/)?client/(models|api)/' /opt/evs-operator

FROM ${BASE_IMAGE}
ARG VERSION=0.0.0
ARG REVISION=
LABEL org.opencontainers.image.title="evs-operator" \
      org.opencontainers.image.description="Follows Elastic Volume Service jobs and tells the truth about them in .status" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/evs-operator /opt/evs-operator
COPY LICENSE /opt/evs-operator/LICENSE
# HOME: the kubernetes package wants one, also where no user has the number below. MALLOC_ARENA_MAX: one event loop needs
# one arena, more only hold memory back.
ENV HOME=/tmp PYTHONPATH=/opt/evs-operator PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/bin/python3", "-m", "evs_operator"]
CMD ["run"]
