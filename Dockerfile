# One image for every service; the command says which one runs. The GPU image is another.
FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY apps/api/package.json apps/api/
COPY apps/cli/package.json apps/cli/
COPY apps/dispatcher/package.json apps/dispatcher/
COPY apps/worker/package.json apps/worker/
COPY packages/client/package.json packages/client/
COPY packages/shared/package.json packages/shared/
# Without install scripts: that of ONNX Runtime would download CUDA libraries.
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY packages packages
COPY apps apps
COPY models models
# What a volume mounted here inherits: a folder that the user below may write.
RUN mkdir -p /data/blobs && chown -R node:node /data
USER node
CMD ["node", "apps/api/src/main.ts"]
