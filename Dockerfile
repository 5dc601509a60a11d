# Four images from one file: docker build --target api|dispatcher|worker-cpu|worker-gpu .
# The bases, by tag; `node scripts/images/pin.mjs` asks their registries and writes the digests.
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim
ARG PYTHON_IMAGE=docker.io/library/python:3.12-slim-bookworm
ARG CUDA_IMAGE=docker.io/nvidia/cuda:13.0.1-runtime-ubuntu24.04

FROM ${NODE_IMAGE} AS tini
# A static init: it passes signals on, and buries the children of engines that were killed.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends tini=0.19.* \
  && rm -rf /var/lib/apt/lists/*

FROM ${NODE_IMAGE} AS packages
ENV NODE_ENV=production ONNXRUNTIME_NODE_INSTALL=skip
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY apps/api/package.json apps/api/
COPY apps/cli/package.json apps/cli/
COPY apps/console/package.json apps/console/
COPY apps/dispatcher/package.json apps/dispatcher/
COPY apps/worker/package.json apps/worker/
COPY packages/client/package.json packages/client/
COPY packages/shared/package.json packages/shared/

# Each process with its own dependencies, so that only the worker has ONNX Runtime. Without install
# scripts: that of ONNX Runtime would download CUDA libraries.
FROM packages AS api-modules
RUN --mount=type=cache,target=/root/.npm \
  npm ci --omit=dev --ignore-scripts --workspace @headrace/api --workspace @headrace/shared \
    --workspace @headrace/console

FROM packages AS dispatcher-modules
RUN --mount=type=cache,target=/root/.npm \
  npm ci --omit=dev --ignore-scripts --workspace @headrace/dispatcher --workspace @headrace/shared

FROM packages AS worker-modules
# The package brings libraries for every system and processor.
RUN --mount=type=cache,target=/root/.npm \
  npm ci --omit=dev --ignore-scripts --workspace @headrace/worker --workspace @headrace/shared \
  && find node_modules/onnxruntime-node/bin/napi-v6 -mindepth 2 -maxdepth 2 \
    ! -path "*/linux/$(node -p process.arch)" -exec rm -r '{}' +

# Of a model, API and dispatcher read what its manifest says, and the API shows its card.
FROM ${NODE_IMAGE} AS model-manifests
WORKDIR /app
COPY models models
RUN find models -type f ! -name model.json ! -name README.md -delete

# ONNX Runtime with its CUDA provider: three files of the Python wheel, pinned by its sha256.
FROM ${PYTHON_IMAGE} AS cuda-provider
WORKDIR /wheel
COPY scripts/images/cuda-provider.txt ./
RUN pip download --no-cache-dir --no-deps --require-hashes --only-binary=:all: \
    --python-version 3.12 --platform manylinux_2_28_x86_64 --requirement cuda-provider.txt \
  && python3 -m zipfile -e ./*.whl . \
  && mkdir lib \
  && mv onnxruntime/capi/libonnxruntime.so.1.* lib/libonnxruntime.so.1 \
  && mv onnxruntime/capi/libonnxruntime_providers_cuda.so lib/ \
  && mv onnxruntime/capi/libonnxruntime_providers_shared.so lib/

FROM ${NODE_IMAGE} AS runtime
# Nothing is installed in an image that runs.
RUN rm -rf /usr/local/lib/node_modules /opt/yarn* /usr/local/bin/npm /usr/local/bin/npx \
    /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg \
  && install -d -o 1000 -g 1000 /data/blobs
COPY --from=tini /usr/bin/tini-static /usr/bin/tini
WORKDIR /app
COPY scripts/images/health.mjs scripts/images/
ENV NODE_ENV=production HEADRACE_BLOBS=/data/blobs
USER 1000:1000
ENTRYPOINT ["/usr/bin/tini", "--"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="Headrace" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

FROM runtime AS api
LABEL org.opencontainers.image.title="headrace-api" \
  org.opencontainers.image.description="Takes jobs in over HTTP and answers for them"
COPY --from=api-modules /app ./
COPY --from=model-manifests /app/models models
COPY packages/shared packages/shared
COPY packages/client packages/client
COPY apps/console apps/console
COPY apps/api apps/api
ENV HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "scripts/images/health.mjs", "PORT", "8000"]
CMD ["node", "apps/api/src/main.ts"]

FROM runtime AS dispatcher
LABEL org.opencontainers.image.title="headrace-dispatcher" \
  org.opencontainers.image.description="Plans and assembles batches, delivers webhooks"
COPY --from=dispatcher-modules /app ./
COPY --from=model-manifests /app/models models
COPY packages/shared packages/shared
COPY apps/dispatcher apps/dispatcher
ENV HEADRACE_DISPATCHER_PROBES_HOST=0.0.0.0
EXPOSE 8002
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "scripts/images/health.mjs", "HEADRACE_DISPATCHER_PROBES_PORT", "8002"]
CMD ["node", "apps/dispatcher/src/main.ts"]

FROM ${CUDA_IMAGE} AS worker-gpu
RUN install -d -o 1000 -g 1000 /data/blobs
COPY --from=tini /usr/bin/tini-static /usr/bin/tini
COPY --from=runtime /usr/local/bin/node /usr/local/bin/
WORKDIR /app
COPY scripts/images/health.mjs scripts/images/
COPY --from=worker-modules /app ./
COPY --from=cuda-provider /wheel/lib node_modules/onnxruntime-node/bin/napi-v6/linux/x64
# All that CUDA's provider asks for is there, but for libcuda, which comes with the driver.
RUN ldd node_modules/onnxruntime-node/bin/napi-v6/linux/x64/*_cuda.so > /tmp/needs \
  && sed -i '/libcuda\.so\.1 /d' /tmp/needs \
  && ! grep 'not found' /tmp/needs \
  && rm /tmp/needs && node --version
COPY models models
COPY packages/shared packages/shared
COPY apps/worker apps/worker
ENV NODE_ENV=production \
  HEADRACE_BLOBS=/data/blobs \
  HEADRACE_PROBES_HOST=0.0.0.0 \
  HEADRACE_PROVIDER=cuda \
  NVIDIA_VISIBLE_DEVICES=all \
  NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["node", "scripts/images/health.mjs", "HEADRACE_PROBES_PORT", "8001"]
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["node", "apps/worker/src/main.ts"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="headrace-worker-gpu" \
  org.opencontainers.image.description="Runs models on an NVIDIA GPU" \
  org.opencontainers.image.vendor="Headrace" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

FROM runtime AS worker-cpu
LABEL org.opencontainers.image.title="headrace-worker" \
  org.opencontainers.image.description="Runs models on CPUs"
COPY --from=worker-modules /app ./
COPY models models
COPY packages/shared packages/shared
COPY apps/worker apps/worker
ENV HEADRACE_PROBES_HOST=0.0.0.0
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["node", "scripts/images/health.mjs", "HEADRACE_PROBES_PORT", "8001"]
CMD ["node", "apps/worker/src/main.ts"]
