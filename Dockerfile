# filmlab as a container. Builds with Docker and with buildah:
#   docker build --build-arg FILMLAB_REVISION="$(git rev-parse --short HEAD)" -t filmlab .

FROM docker.io/library/rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        pkg-config clang libclang-dev \
        libavcodec-dev libavfilter-dev libavformat-dev libavutil-dev \
        libswresample-dev libswscale-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Dependencies first: they change rarely, and a layer of their own is built once.
COPY Cargo.toml Cargo.lock rust-toolchain.toml build.rs ./
COPY build build
RUN mkdir -p src tests/it \
    && echo 'fn main() {}' > src/main.rs && : > src/lib.rs && : > tests/it/main.rs \
    && cargo build --locked --release \
    && rm -rf src tests
COPY src src
# Cargo.toml names the tests; the image needs none of them.
RUN mkdir -p tests/it && : > tests/it/main.rs
ARG FILMLAB_REVISION=unknown
ENV FILMLAB_REVISION=$FILMLAB_REVISION
# Newer than what the layer above built from the empty sources.
RUN find src -exec touch {} + && cargo build --locked --release --bin filmlab

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates \
        libavcodec59 libavfilter8 libavformat59 libavutil57 libswresample4 libswscale6 \
    && rm -rf /var/lib/apt/lists/* \
    # A number, not a name: what runs containers can check that it is not root.
    && install --directory --owner 10001 --group 10001 /var/lib/filmlab
COPY --from=build /src/target/release/filmlab /usr/local/bin/filmlab
# The binary is linked with libx264: it falls under the GPL as a whole, see NOTICE.
COPY LICENSE-MIT LICENSE-APACHE NOTICE /usr/share/doc/filmlab/
ENV FILMLAB_DATA__DIR=/var/lib/filmlab
USER 10001:10001
WORKDIR /var/lib/filmlab
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/filmlab"]
CMD ["serve"]
