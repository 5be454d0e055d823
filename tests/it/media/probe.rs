//! Probe: stable fields for good files.

use filmlab::media::{Cancel, FileInput, Limits, MediaCode, Probe, probe, probe_picture};

use super::support::{fixture, logo, plain};

fn look(path: &std::path::Path) -> Probe {
    probe(&FileInput::new(path), &Limits::default(), &Cancel::new()).unwrap()
}

#[test]
fn mp4_has_all_the_stable_fields() {
    let json = serde_json::to_value(look(&plain())).unwrap();
    assert_eq!(json["container"]["format"], "mp4");
    assert_eq!(json["container"]["duration_ms"], 4000);
    assert_eq!(json["container"]["faststart"], true);
    assert!(json["container"]["bytes"].as_u64().unwrap() > 10_000);
    let video = &json["video"];
    assert_eq!(video["codec"], "h264");
    assert_eq!(video["profile"], "High");
    assert_eq!(video["width"], 640);
    assert_eq!(video["display_height"], 360);
    assert_eq!(video["rotation"], 0);
    assert_eq!(video["flipped"], false);
    assert_eq!(video["fps"], 25.0);
    assert_eq!(video["frames"], 100);
    assert_eq!(video["duration_ms"], 4000);
    assert_eq!(video["pixel_format"], "yuv420p");
    assert_eq!(video["sample_aspect_ratio"], "1:1");
    assert_eq!(video["color"]["matrix"], "unknown");
    let audio = &json["audio"];
    assert_eq!(audio["codec"], "aac");
    assert_eq!(audio["sample_rate"], 48_000);
    assert_eq!(audio["channels"], 2);
    assert_eq!(audio["channel_layout"], "stereo");
    assert!(audio["duration_ms"].as_u64().unwrap().abs_diff(4000) < 50);
    let back: Probe = serde_json::from_value(json).unwrap();
    assert_eq!(back, look(&plain()));
}

#[test]
fn containers_have_sensible_names() {
    let source = "-f lavfi -i testsrc2=size=160x120:rate=10:duration=1 -c:v";
    for (name, codec, format) in [
        ("n.mov", "libx264 -pix_fmt yuv420p", "mov"),
        ("n.mkv", "libx264 -pix_fmt yuv420p", "matroska"),
        ("n.webm", "libvpx", "webm"),
        ("n.avi", "mpeg4", "avi"),
        ("n.ts", "libx264 -pix_fmt yuv420p", "mpegts"),
        ("n.gif", "gif", "gif"),
    ] {
        let path = fixture(name, &format!("{source} {codec}"));
        assert_eq!(look(&path).container.format, format, "{name}");
    }
}

#[test]
fn rotation_and_pixel_shape_are_undone_for_display() {
    let turned = super::support::turned(&plain(), [0, 1, -1, 0]);
    let video = look(&turned).video.unwrap();
    assert_eq!((video.width, video.height), (640, 360));
    assert_eq!((video.display_width, video.display_height), (360, 640));
    assert_eq!((video.rotation, video.flipped), (90, false));

    let wide = fixture(
        "wide.mp4",
        "-f lavfi -i testsrc2=size=720x576:rate=25:duration=1 -vf setsar=16/11 \
         -c:v libx264 -pix_fmt yuv420p",
    );
    let video = look(&wide).video.unwrap();
    assert_eq!(video.sample_aspect_ratio, "16:11");
    assert_eq!((video.display_width, video.display_height), (1047, 576));
}

#[test]
fn pictures_are_probed_as_pictures() {
    let picture = probe_picture(&FileInput::new(logo()), &Limits::default(), &Cancel::new()).unwrap();
    assert_eq!((picture.format.as_str(), picture.width, picture.height), ("png", 200, 100));
    assert!(picture.alpha);
    for name in ["p.jpg", "p.webp"] {
        let path = fixture(name, "-f lavfi -i testsrc2=size=64x48:rate=1:duration=1 -frames:v 1");
        let picture = probe_picture(&FileInput::new(&path), &Limits::default(), &Cancel::new()).unwrap();
        assert_eq!((picture.width, picture.height), (64, 48), "{name}");
    }
    let refused = probe_picture(&FileInput::new(plain()), &Limits::default(), &Cancel::new());
    assert_eq!(refused.unwrap_err().code, MediaCode::NotAPicture);
}

#[test]
fn the_build_says_what_it_is() {
    let info = filmlab::media::build_info();
    assert!(info.x264 && info.libavformat.split('.').count() == 3, "{info:?}");
    assert!(filmlab::media::init().is_ok());
}
