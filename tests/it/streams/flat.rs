//! Memory does not grow with the length of a video, and no disk stands in for it.
//!
//! The render runs in a process of its own, whose peak is nobody else's, and which may write no
//! byte into any file; the bucket stays in this one.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use filmlab::media::{Cancel, PosterTo, Preset, render};

use super::stand::*;
use crate::media::support::{encoding, ffmpeg, fixture, fresh};
use crate::soak::memory::peak_kib;
use crate::support::gcs::FakeGcs;
use crate::support::objects::PutFile as _;

/// Names the bucket to the process that renders.
const BUCKET_AT: &str = "FILMLAB_STREAMS_BUCKET";

/// More than the caches of reader and writer hold, in and out: noise does not compress.
fn seconds(count: u32) -> PathBuf {
    let once = fixture(
        "noise-7s.mp4",
        "-f lavfi -i testsrc2=size=480x270:rate=24:duration=7,noise=alls=80:allf=t \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=7 \
         -c:v libx264 -bf 0 -preset ultrafast -crf 5 -g 48 -pix_fmt yuv420p -c:a aac -ac 2 -b:a 96k",
    );
    let made = fresh("noise-long.mp4");
    let arguments = format!(
        "-stream_loop {} -i \"{}\" -c copy",
        count / 7 - 1,
        once.display()
    );
    ffmpeg(&arguments, &[made.to_str().unwrap()]);
    made
}

/// Not a test by itself: the other half of [`a_clip_ten_times_as_long_takes_the_same_memory`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test below"]
async fn renders_without_files() {
    let at = crate::support::require::variable(BUCKET_AT);
    if at.is_empty() {
        return;
    }
    let storage = bucket_at(at.to_str().unwrap().parse().unwrap()).await;
    let mut work = encoding(Path::new("in.mp4"));
    work.main = Arc::new(Source(source(&storage, "work/in.mp4").await));
    work.profile.video.max_rate = None;
    work.profile.video.crf = 8.0;
    work.profile.video.preset = Preset::Ultrafast;
    work.poster = Some(PosterTo::Report);
    work.threads = 2;
    let mut output = Sink::new(&storage, "results/out.mp4");
    let report =
        blocking(move || render(&work, &mut output, &Cancel::new(), &mut |_| {}).unwrap()).await;
    println!("\n{BUCKET_AT}\t{}\t{}", report.frames, peak_kib());
}

/// Renders `clip` in the other process; gives frames, bytes of the result, and its peak in KiB.
async fn rendered(clip: &Path) -> (u64, u64, u64) {
    let gcs = FakeGcs::default();
    let address = gcs.start().await;
    let storage = bucket_at(address.clone()).await;
    let bytes = storage
        .put_file(clip, "work/in.mp4", "video/mp4")
        .await
        .unwrap();
    assert!(bytes > 20 * MIB, "{bytes}");
    let said = blocking(move || {
        let mut child = Command::new("sh");
        child.args(["-c", r#"ulimit -f 0; exec "$0" "$@""#]);
        child.arg(std::env::current_exe().unwrap());
        child.args(["--exact", "streams::flat::renders_without_files"]);
        child
            .args(["--ignored", "--nocapture"])
            .env(BUCKET_AT, address.as_str());
        let done = child.stderr(Stdio::piped()).output().unwrap();
        let _ = std::io::stderr().write_all(&done.stderr);
        assert!(done.status.success(), "{}", done.status);
        String::from_utf8(done.stdout).unwrap()
    })
    .await;
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(BUCKET_AT))
        .unwrap();
    let numbers: Vec<u64> = line
        .split('\t')
        .skip(1)
        .map(|it| it.parse().unwrap())
        .collect();
    let result = gcs.object("results/out.mp4").unwrap().bytes.len() as u64;
    (numbers[0], result, numbers[1])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clip_ten_times_as_long_takes_the_same_memory() {
    let (frames, bytes, once) = rendered(&seconds(7)).await;
    assert_eq!(frames, 168);
    // Parts wait in memory, so what is compared has to fill them.
    assert!(bytes > 20 * MIB, "{bytes}");
    let (frames, bytes, longer) = rendered(&seconds(70)).await;
    assert_eq!(frames, 1680);
    assert!(bytes > 200 * MIB, "{bytes}");
    println!(
        "peak: {once} KiB for 7 s, {longer} KiB for 70 s ({:.3})",
        longer as f64 / once as f64
    );
    assert!(
        longer * 10 <= once * 11,
        "{once} KiB, ten times as long {longer} KiB"
    );
}
