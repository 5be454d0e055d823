//! One pass: what comes out is what was planned.

use filmlab::media::{AudioPlan, Event, VideoPlan};

use super::support::*;

#[test]
fn an_encode_keeps_size_rate_frames_sound_and_length() {
    let out = fresh("out.mp4");
    let poster = out.with_file_name("poster.jpg");
    let mut render = encoding(&plain());
    render.poster = Some(poster.clone());
    let (report, events) = run_events(&render, &out);

    assert!(matches!(report.plan.video, VideoPlan::Encode { .. }), "{:?}", report.plan);
    assert!(matches!(report.plan.audio, AudioPlan::Copy { .. }), "{:?}", report.plan);
    assert_eq!(ffprobe(&out, "v", "stream=codec_name,width,height,pix_fmt"), ["h264", "640", "360", "yuv420p"]);
    assert_eq!(ffprobe(&out, "v", "stream=avg_frame_rate"), ["25/1"]);
    assert_eq!(frame_count(&out), 100);
    assert_eq!(report.frames, 100);
    assert!((seconds(&out, "v") - 4.0).abs() < 0.001, "{}", seconds(&out, "v"));
    assert!((seconds(&out, "a") - 4.0).abs() < 0.05);
    assert_eq!(report.duration_ms, 4000);
    assert!(report.faststart);
    let boxes = boxes(&out);
    let place = |name| boxes.iter().position(|b| b == name).unwrap();
    assert!(place("moov") < place("mdat"), "{boxes:?}");
    assert!(ssim(&plain(), &out, "null") > 0.97);

    assert_alone(&out, &["out.mp4", "poster.jpg"]);
    let info = report.poster.unwrap();
    assert_eq!((info.width, info.height), (640, 360));
    assert!((400..=800).contains(&info.time_ms), "{info:?}");
    assert_eq!(ffprobe(&poster, "v", "stream=codec_name,width,height"), ["mjpeg", "640", "360"]);

    assert!(matches!(events.first(), Some(Event::Planned(_))));
    assert!(matches!(events.last(), Some(Event::Done)));
    assert!(events.iter().any(|event| matches!(event, Event::Progress(p) if p.total_frames == Some(100))));
    assert!(events.iter().any(|event| matches!(event, Event::PosterWritten(_))));
}
