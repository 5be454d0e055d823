//! The media core on a bucket: read by range, written in parts.

use std::path::Path;
use std::sync::Arc;

use filmlab::media::{
    Cancel, DecodeDepth, Event, Expectation, FileInput, Input, Limits, PosterTo, Render, Report,
    render, verify,
};
use filmlab::storage::Storage;

use super::stand::*;
use crate::media::support::{boxes, encoding, ffprobe, fixture, fresh, job};
use crate::support::gcs::{FakeGcs, Op};
use crate::support::objects::PutFile as _;

/// Noise, which does not compress: more than 20 MB of video in 30 s, and all the sound behind it.
fn non_interleaved() -> std::path::PathBuf {
    fixture(
        "noise-non-interleaved.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=24:duration=30,noise=alls=80:allf=t \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=30 \
         -map 1:a -map 0:v -c:v libx264 -bf 0 -preset ultrafast -crf 22 -g 48 -pix_fmt yuv420p \
         -c:a aac -ac 2 -b:a 96k -chunk_duration 60000000 -max_interleave_delta 0",
    )
}

/// A render that has nothing to change in the picture.
fn copying(clip: &Path) -> Render {
    let mut work = job(clip);
    work.profile.video.max_rate = None;
    work
}

async fn upload(storage: &Storage, file: &Path, object: &str) -> u64 {
    storage.put_file(file, object, "video/mp4").await.unwrap()
}

/// Renders an object into another.
async fn rendered(storage: &Storage, mut work: Render, object: &str) -> Report {
    work.main = Arc::new(Source(source(storage, "work/in.mp4").await));
    work.poster = Some(PosterTo::Report);
    let mut output = Sink::new(storage, object);
    blocking(move || render(&work, &mut output, &Cancel::new(), &mut |_| {}).unwrap()).await
}

/// What stands in the bucket, as a local file for the reference.
fn fetched(gcs: &FakeGcs, object: &str) -> std::path::PathBuf {
    let file = fresh("fetched.mp4");
    std::fs::write(&file, &gcs.object(object).unwrap().bytes).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_interleaved_is_fetched_about_once() {
    let clip = non_interleaved();
    let places = |stream| -> Vec<u64> {
        let lines = ffprobe(&clip, stream, "packet=pos");
        lines.iter().filter_map(|line| line.parse().ok()).collect()
    };
    let (video, audio) = (places("v:0"), places("a:0"));
    assert!(video.iter().max().unwrap() < audio.iter().min().unwrap());
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    let bytes = upload(&storage, &clip, "work/in.mp4").await;
    assert!(bytes > 20_000_000, "{bytes}");
    let before = gcs.count(Op::Get);
    let mut work = encoding(&clip);
    // Small, so that reading it back does not count for much.
    work.profile.video.crf = 40.0;
    let report = rendered(&storage, work, "results/out.mp4").await;
    assert_eq!((report.frames, report.faststart), (720, true));
    let requests = gcs.count(Op::Get) - before;
    let most = bytes as f64 / MIB as f64 * 1.2;
    println!(
        "{requests} requests for {bytes} bytes, {} back",
        report.bytes
    );
    assert!((requests as f64) <= most, "{requests} > {most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_gives_the_same_result_as_a_file() {
    // Noise again, since little else fills parts of 5 MiB in a few seconds.
    let clip = fixture(
        "noise.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=24:duration=12,noise=alls=80:allf=t \
         -c:v libx264 -preset ultrafast -crf 9 -g 48 -pix_fmt yuv420p",
    );
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    upload(&storage, &clip, "work/in.mp4").await;
    let mut small = encoding(&clip);
    small.profile.video.crf = 45.0;
    // In parts, and in one request.
    for (work, parts) in [(copying(&clip), 2..9), (small, 0..1)] {
        let before = gcs.count(Op::Part);
        let report = rendered(&storage, work.clone(), "results/out.mp4").await;
        let sent = gcs.count(Op::Part) - before;
        assert!(parts.contains(&sent), "{sent}");
        assert!(report.poster_jpeg.unwrap().starts_with(&[0xff, 0xd8]));
        let local = fresh("local.mp4");
        crate::media::support::run(&work, &local).unwrap();
        let remote = fetched(&gcs, "results/out.mp4");
        if sent > 0 {
            // A copy: the same packets in the same places.
            let (remote_bytes, local_bytes) = (
                std::fs::read(&remote).unwrap(),
                std::fs::read(&local).unwrap(),
            );
            let differs = remote_bytes
                .iter()
                .zip(&local_bytes)
                .position(|(a, b)| a != b);
            assert_eq!((differs, remote_bytes.len()), (None, local_bytes.len()));
        }
        let decoded = |file| crate::media::support::decoded_hashes(file, "v:0").len();
        assert_eq!((decoded(&remote), decoded(&local)), (288, 288));
        assert_eq!(boxes(&remote)[..2], ["ftyp", "moov"]);
    }
    assert_eq!(gcs.open_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_arrive_while_the_encoder_works() {
    let clip = non_interleaved();
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    upload(&storage, &clip, "work/in.mp4").await;
    let mut work = encoding(&clip);
    work.main = Arc::new(Source(source(&storage, "work/in.mp4").await));
    let mut output = Sink::new(&storage, "results/out.mp4");
    let seen = gcs.clone();
    let (at_first_part, frames) = blocking(move || {
        let mut first = None;
        let report = render(&work, &mut output, &Cancel::new(), &mut |event| {
            if let Event::Progress(progress) = event
                && seen.count(Op::Part) > 0
            {
                first.get_or_insert(progress.frames);
            }
        });
        (first.unwrap(), report.unwrap().frames)
    })
    .await;
    assert!(
        at_first_part < frames * 3 / 4,
        "{at_first_part} of {frames}"
    );
}

/// An index that does not fit goes to the end, and the parts that were sent stay where they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_is_too_small_costs_the_fast_start_and_nothing_else() {
    let clip = fixture(
        "minute.mp4",
        "-f lavfi -i testsrc2=size=160x90:rate=25:duration=60,noise=alls=80:allf=t \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration=60 \
         -c:v libx264 -preset ultrafast -crf 9 -g 50 -pix_fmt yuv420p -c:a aac -ac 2 -b:a 96k",
    );
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    upload(&storage, &clip, "work/in.mp4").await;
    let mut work = copying(&clip);
    let roomy = rendered(&storage, work.clone(), "results/roomy.mp4").await;
    work.index_room = Some(20_000);
    let before = gcs.count(Op::Part);
    let tight = rendered(&storage, work, "results/tight.mp4").await;
    assert!(gcs.count(Op::Part) - before >= 2);
    assert_eq!((roomy.faststart, tight.faststart), (true, false));
    assert_eq!((roomy.frames, tight.frames), (1500, 1500));
    let (roomy, tight) = (
        fetched(&gcs, "results/roomy.mp4"),
        fetched(&gcs, "results/tight.mp4"),
    );
    assert_eq!(boxes(&tight), ["ftyp", "free", "free", "mdat", "moov"]);
    let hashes = |file: &Path| crate::media::support::decoded_hashes(file, "v:0");
    assert!(hashes(&roomy).len() == 1500 && hashes(&roomy) == hashes(&tight));
    let whole = Expectation {
        frames: Some((1500, 0)),
        depth: DecodeDepth::Full,
        ..Expectation::default()
    };
    let found = verify(
        &FileInput::new(&tight),
        &whole,
        &Limits::default(),
        &Cancel::new(),
    );
    assert_eq!(found.unwrap().probe.container.faststart, Some(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_leaves_nothing_in_the_bucket() {
    let clip = non_interleaved();
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    upload(&storage, &clip, "work/in.mp4").await;
    let mut work = encoding(&clip);
    work.main = Arc::new(Source(source(&storage, "work/in.mp4").await));
    work.limits.max_output_bytes = 12_000_000;
    let mut output = Sink::new(&storage, "results/out.mp4");
    let error =
        blocking(move || render(&work, &mut output, &Cancel::new(), &mut |_| {}).unwrap_err())
            .await;
    assert_eq!(error.code.as_str(), "output_too_large");
    assert!(gcs.count(Op::Part) > 0, "it was on its way");
    gcs.until(|gcs| gcs.open_uploads() == 0).await;
    assert_eq!(gcs.names(), ["work/in.mp4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_are_probed_with_a_request_or_two() {
    let clip = non_interleaved();
    let gcs = FakeGcs::default();
    let storage = bucket(&gcs).await;
    upload(&storage, &clip, "work/in.mp4").await;
    let input = Source(source(&storage, "work/in.mp4").await);
    assert!(input.len().unwrap() > 20_000_000);
    let before = gcs.count(Op::Get);
    let frames = blocking(move || {
        let probe = filmlab::media::probe(&input, &Limits::default(), &Cancel::new());
        probe.unwrap().require_video().unwrap().frames
    })
    .await;
    assert_eq!(frames, Some(720));
    // The head and the index at the end, with what lies ahead of either.
    let requests = gcs.count(Op::Get) - before;
    assert!(requests <= 5, "{requests}");
}
