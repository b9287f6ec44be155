# nats-server of Debian (2.9), which has JetStream. The base is that of ../Dockerfile, pinned by digest.
FROM node:22-bookworm-slim@sha256:43ac6c60b8f89723f746e8a92ce91abd5017e627ce1ddfe4238355d3a30b772c
RUN apt-get update && apt-get install -y --no-install-recommends nats-server && rm -rf /var/lib/apt/lists/*
RUN install -d -o nats -g nats /data
USER nats
ENTRYPOINT ["nats-server"]
