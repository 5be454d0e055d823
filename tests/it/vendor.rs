//! The binary that is deployed, with the FFmpeg of `vendor/ffmpeg`.

use std::process::Command;

const FILMLAB: &str = env!("CARGO_BIN_EXE_filmlab");

/// Debian's own build of FFmpeg brings more than 200.
const MOST_LIBRARIES: usize = 12;

#[test]
fn it_needs_few_shared_libraries() {
    let output = Command::new("ldd").arg(FILMLAB).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let libraries: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(libraries.len() <= MOST_LIBRARIES, "{text}");
    assert!(
        libraries.iter().any(|line| line.starts_with("libc.so")),
        "{text}"
    );
    for foreign in [
        "libav",
        "libsw",
        "libx264",
        "libzimg",
        "libdav1d",
        "libstdc++",
    ] {
        assert!(
            !text.contains(foreign),
            "{foreign} is not linked in: {text}"
        );
    }
}

#[test]
fn it_has_all_that_is_named_in_the_release_it_pins() {
    let build = filmlab::media::build_info();
    let sources = include_str!("../../vendor/ffmpeg/sources");
    let version = sources
        .lines()
        .find_map(|line| line.strip_prefix("ffmpeg ")?.split(' ').next())
        .unwrap();
    assert_eq!(build.ffmpeg, version);
    assert_eq!(build.missing, Vec::<String>::new());
    assert!(build.x264 && build.zscale);
    assert!(build.license.starts_with("GPL"), "{}", build.license);
    filmlab::media::init().unwrap();
}
