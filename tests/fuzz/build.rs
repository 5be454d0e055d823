//! The same switches as in the build script of filmlab itself, for the libraries that are linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=FFMPEG_DIR");
    for name in ["vendored", "ffmpeg_8", "interlaced_flag", "fuzzing"] {
        println!("cargo::rustc-check-cfg=cfg({name})");
    }
    println!("cargo::rustc-cfg=fuzzing");
    if env::var("DEP_FFMPEG_FFMPEG_8_0").is_ok_and(|found| found == "true") {
        println!("cargo::rustc-cfg=ffmpeg_8");
    }
    let newer = || {
        pkg_config::Config::new()
            .atleast_version("58.7")
            .cargo_metadata(false)
            .env_metadata(false)
            .probe("libavutil")
            .is_ok()
    };
    if env::var_os("FFMPEG_DIR").is_some() || newer() {
        println!("cargo::rustc-cfg=interlaced_flag");
    }
}
