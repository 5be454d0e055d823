# filmlab as a container, with the small static FFmpeg of vendor/ffmpeg. Builds with
# Docker and with buildah:
#   docker build --build-arg FILMLAB_REVISION="$(git rev-parse --short HEAD)" -t filmlab .
# FFmpeg's and dav1d's sources are fetched from upstream and checked against
# vendor/ffmpeg/sources; where there is no network, put the tarballs into distfiles/.

FROM docker.io/library/rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        pkg-config clang libclang1 g++ nasm meson ninja-build \
        libx264-dev libzimg-dev zlib1g-dev xz-utils curl ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# What changes rarely first, each in a layer of its own: FFmpeg, then dependencies.
COPY vendor vendor
COPY distfiles distfiles
RUN vendor/ffmpeg/build.sh
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock rust-toolchain.toml build.rs ./
COPY build build
COPY scripts/vendor.sh scripts/vendor.sh
RUN mkdir -p src tests/it \
    && echo 'fn main() {}' > src/main.rs && : > src/lib.rs && : > tests/it/main.rs \
    && scripts/vendor.sh cargo build --locked --release --no-default-features \
    && rm -rf src tests
COPY src src
COPY templates templates
# Cargo.toml names the tests; the image needs none of them.
RUN mkdir -p tests/it && : > tests/it/main.rs
ARG FILMLAB_REVISION=unknown
ENV FILMLAB_REVISION=$FILMLAB_REVISION
# Newer than what the layer above built from the empty sources. Without the sandbox and the
# demo, which are for whoever tries filmlab out.
RUN find src -exec touch {} + && \
    scripts/vendor.sh cargo build --locked --release --no-default-features --bin filmlab

# What the binary needs of a system: the C library, the compiler's, and no shell. Debian's packages,
# noted where scanners of images look for them.
FROM docker.io/library/debian:bookworm-slim AS system
WORKDIR /packages
RUN apt-get update \
    && apt-get download base-files libc6 libgcc-s1 gcc-12-base \
    && rm -rf /var/lib/apt/lists/*
RUN mkdir -p /system/var/lib/dpkg/status.d \
    && for package in *.deb; do \
        dpkg-deb --extract "$package" /system \
        && dpkg-deb --field "$package" >"/system/var/lib/dpkg/status.d/${package%%_*}" || exit 1; \
    done \
    # Nobody converts character sets or reads manuals here; licences stay.
    && rm -rf /system/usr/lib/*/gconv /system/usr/share/man /system/usr/share/locale /system/usr/share/lintian \
    && find /system/usr/share/doc -type f ! -name copyright -delete \
    && echo 'root:x:0:0:root:/root:/sbin/nologin' >/system/etc/passwd \
    && echo 'filmlab:x:10001:10001::/var/lib/filmlab:/sbin/nologin' >>/system/etc/passwd \
    && echo 'root:x:0:' >/system/etc/group && echo 'filmlab:x:10001:' >>/system/etc/group \
    && install --directory --mode 1777 /system/tmp \
    && install --directory --owner 10001 --group 10001 /system/var/lib/filmlab

FROM scratch
COPY --from=system /system /
# The bundle alone, not the folder of single files beside it: it is read once instead
# of file by file, which is most of what a start takes.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/vendor/release/filmlab /usr/local/bin/filmlab
# The binary is linked with libx264: it falls under the GPL as a whole, see NOTICE.
COPY LICENSE-MIT LICENSE-APACHE NOTICE vendor/ffmpeg/sources src/media/text/noto/OFL.txt \
    /usr/share/doc/filmlab/
ENV FILMLAB_DATA__DIR=/var/lib/filmlab
# A number, not a name: what runs containers can check that it is not root.
USER 10001:10001
WORKDIR /var/lib/filmlab
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/filmlab"]
CMD ["serve"]
