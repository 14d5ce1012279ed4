/**
 * An image for `pod-dist k8s`: nothing runs as root, and nothing is written outside of /tmp, /dev/shm and the volume. With
 * native TensorFlow the addon is built in the first stage.
 */
export function dockerfile(version: string): string {
  return `FROM node:22-bookworm-slim AS build
WORKDIR /app
RUN npm install --omit=dev --no-audit --no-fund pod-dist@${version}
# Native TensorFlow, several times as fast as WebAssembly; --cuda for GPUs:
# RUN apt-get update && apt-get install -y --no-install-recommends python3-pip g++ && POD_DIST_CACHE=/app/cache npx pod-dist setup

FROM node:22-bookworm-slim
COPY --from=build /app /app
ENV PATH=/app/node_modules/.bin:$PATH
# ENV POD_DIST_CACHE=/app/cache
USER node
ENTRYPOINT ["pod-dist"]
`;
}
