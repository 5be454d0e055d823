//! What a person sees and hears of a result: sharp slides, a poster that shows something, sound
//! within full scale, a clip with one bad frame.

use std::path::Path;

use filmlab::media::PosterTo;

use super::support::{encoding, ffmpeg, ffprobe, fixture, frame_count, fresh, job, mean_rgb, run};

/// The lowest likeness of any frame.
fn worst(a: &Path, b: &Path) -> f64 {
    let table = fresh("ssim.txt");
    ffmpeg(
        "",
        &[
            "-i",
            a.to_str().unwrap(),
            "-i",
            b.to_str().unwrap(),
            "-lavfi",
            &format!("ssim=stats_file={}", table.display()),
            "-f",
            "null",
            "-",
        ],
    );
    std::fs::read_to_string(table)
        .unwrap()
        .lines()
        .map(|line| {
            let all = line.split("All:").nth(1).unwrap();
            all.split_whitespace()
                .next()
                .unwrap()
                .parse::<f64>()
                .unwrap()
        })
        .fold(1.0, f64::min)
}

#[test]
fn slides_stay_sharp_after_each_change() {
    // Four pictures in eight seconds: all bits are spent in four moments.
    let slides = fixture(
        "slides.mp4",
        "-f lavfi -i testsrc2=size=640x360:rate=1/2:duration=8,fps=25 \
         -c:v libx264 -preset medium -crf 23 -pix_fmt yuv420p",
    );
    let mut render = job(&slides);
    render.force.video = true;
    render.profile.video.preset = filmlab::media::Preset::Medium;
    let out = fresh("out.mp4");
    run(&render, &out).unwrap();
    let worst = worst(&out, &slides);
    assert!(worst > 0.98, "{worst}");
    // What the same quality takes without any cap is no less.
    let free = fresh("free.mp4");
    let slides = slides.to_str().unwrap();
    let encode = "-c:v libx264 -preset medium -crf 21 -pix_fmt yuv420p";
    ffmpeg(&format!("-i {slides} {encode}"), &[free.to_str().unwrap()]);
    let pictures = |path: &Path| -> u64 {
        let sizes = ffprobe(path, "v", "packet=size");
        sizes
            .iter()
            .filter_map(|size| size.parse::<u64>().ok())
            .sum()
    };
    let (ours, free) = (pictures(&out), pictures(&free));
    assert!(ours < free * 105 / 100, "{ours} of {free}");
}

fn light_of_poster(source: &Path) -> (f64, u64) {
    let poster = fresh("poster.jpg");
    let mut render = job(source);
    render.poster = Some(PosterTo::File(poster.clone()));
    let report = run(&render, &fresh("out.mp4")).unwrap();
    let rgb = mean_rgb(&poster, 0.0, (0, 0, 320, 180));
    (
        rgb.iter().sum::<f64>() / 3.0,
        report.poster.unwrap().time_ms,
    )
}

#[test]
fn a_poster_is_not_the_black_of_a_fade() {
    let fade = fixture(
        "fade.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6,fade=in:st=0:d=3 \
         -c:v libx264 -preset veryfast -g 25 -pix_fmt yuv420p",
    );
    let full = mean_rgb(&fade, 5.0, (0, 0, 320, 180)).iter().sum::<f64>() / 3.0;
    // As it is, and encoded.
    let (light, at_ms) = light_of_poster(&fade);
    assert!(light > full / 2.0, "{light} of {full} at {at_ms} ms");
    let marked = fixture(
        "fade.mkv",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6,fade=in:st=0:d=3 -c:v mpeg4 -q:v 3",
    );
    let (light, at_ms) = light_of_poster(&marked);
    assert!(light > full / 2.0, "{light} of {full} at {at_ms} ms");
}

#[test]
fn a_poster_is_no_title_card() {
    let card = fixture(
        "card.mp4",
        "-f lavfi -i color=white:size=320x180:rate=25:duration=3,drawbox=x=100:y=80:w=120:h=12:color=black:t=fill \
         -f lavfi -i testsrc2=size=320x180:rate=25:duration=2 \
         -filter_complex [0:v][1:v]concat=n=2 -c:v libx264 -preset veryfast -g 25 -pix_fmt yuv420p",
    );
    let (light, at_ms) = light_of_poster(&card);
    assert!(at_ms >= 3000, "{light} at {at_ms} ms");
}

#[test]
fn mixing_down_stays_within_full_scale() {
    for channels in ["4.0", "5.1", "7.1"] {
        // All channels say the same, near full scale.
        let loud = fixture(
            "loud.mkv",
            &format!(
                "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 \
                 -f lavfi -i \"aevalsrc=exprs=0.85*sin(880*t):s=48000:d=1,pan={channels}|{}\" \
                 -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a pcm_s16le",
                channel_copies(channels)
            ),
        );
        let out = fresh("out.mp4");
        run(&job(&loud), &out).unwrap();
        let log = ffmpeg(
            "",
            &[
                "-i",
                out.to_str().unwrap(),
                "-af",
                "astats",
                "-f",
                "null",
                "-",
            ],
        );
        let peak = log
            .lines()
            .filter_map(|line| line.split("Peak level dB:").nth(1))
            .filter_map(|peak| peak.trim().parse::<f64>().ok())
            .fold(f64::NEG_INFINITY, f64::max);
        assert!((-3.0..=0.5).contains(&peak), "{channels}: {peak} dB");
    }
}

fn channel_copies(layout: &str) -> String {
    let count = match layout {
        "4.0" => 4,
        "5.1" => 6,
        _ => 8,
    };
    (0..count)
        .map(|channel| format!("c{channel}=c0"))
        .collect::<Vec<_>>()
        .join("|")
}

#[test]
fn one_bad_packet_of_nine_is_no_damaged_file() {
    let nine = fixture(
        "nine.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25 -frames:v 9 -c:v mjpeg -q:v 3 -pix_fmt yuvj420p",
    );
    let mut bytes = std::fs::read(&nine).unwrap();
    // The start of the fifth picture: a JPEG without its head decodes to nothing.
    let starts: Vec<usize> = bytes
        .windows(3)
        .enumerate()
        .filter(|(_, three)| *three == [0xff, 0xd8, 0xff])
        .map(|(at, _)| at)
        .collect();
    assert_eq!(starts.len(), 9);
    bytes[starts[4]..starts[4] + 400].fill(0);
    let damaged = fresh("nine.mp4");
    std::fs::write(&damaged, bytes).unwrap();
    let out = fresh("out.mp4");
    let report = run(&encoding(&damaged), &out).unwrap();
    assert!(report.damage.bad_packets + report.damage.bad_frames > 0);
    assert_eq!(frame_count(&out), 8);
}

#[test]
fn what_is_transparent_is_laid_on_one_colour() {
    // Green under full transparency, an opaque red square in the middle.
    let clear = fixture(
        "clear.mov",
        "-f lavfi -i color=c=0x00ff00:size=320x180:rate=25:duration=1,format=rgba,\
         geq=r='if(between(X,100,220)*between(Y,40,140),255,0)':g='if(between(X,100,220)*between(Y,40,140),0,255)':b=0:a='if(between(X,100,220)*between(Y,40,140),255,0)' \
         -c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le",
    );
    for (background, wanted) in [
        (filmlab::media::Background::White, 255.0),
        (filmlab::media::Background::Black, 0.0),
    ] {
        let mut render = encoding(&clear);
        render.profile.video.background = background;
        let out = fresh("out.mp4");
        run(&render, &out).unwrap();
        let corner = mean_rgb(&out, 0.5, (4, 4, 60, 60));
        assert!(
            corner.iter().all(|value| (value - wanted).abs() < 6.0),
            "{background}: {corner:?}"
        );
        let [red, green, blue] = mean_rgb(&out, 0.5, (130, 60, 60, 60));
        assert!(
            red > 240.0 && green < 15.0 && blue < 15.0,
            "{red} {green} {blue}"
        );
        // No green shimmers at the edge.
        let [red, green, blue] = mean_rgb(&out, 0.5, (96, 38, 128, 2));
        assert!(green <= red.max(blue) + 8.0, "{red} {green} {blue}");
    }
}

/// The codecs of WebM with transparency, as the reference program writes them.
const SEE_THROUGH: [&str; 2] = [
    "-c:v libvpx -auto-alt-ref 0 -deadline realtime -b:v 2M -pix_fmt yuva420p",
    "-c:v libvpx-vp9 -auto-alt-ref 0 -deadline realtime -b:v 2M -pix_fmt yuva420p",
];

#[test]
fn transparency_beside_the_picture_is_laid_on_one_colour() {
    // Green under full transparency, and an opaque red square that goes to the right by 4 a frame.
    let inside = "between(X,20+4*N,99+4*N)*between(Y,40,119)";
    let picture = format!(
        "color=c=0x00ff00:size=320x180:rate=25:duration=2,format=rgba,\
         geq=r='255*{inside}':g='255*(1-{inside})':b=0:a='255*{inside}'"
    );
    for codec in SEE_THROUGH {
        let clear = fixture("clear.webm", &format!("-f lavfi -i \"{picture}\" {codec}"));
        // As many threads as a decoder likes: each picture keeps its own transparency.
        for (background, wanted, threads) in [
            (filmlab::media::Background::White, 255.0, 4),
            (filmlab::media::Background::Black, 0.0, 1),
        ] {
            let mut render = encoding(&clear);
            render.profile.video.background = background;
            render.threads = threads;
            let out = fresh("out.mp4");
            let report = run(&render, &out).unwrap();
            assert_eq!((report.damage.bad_packets, frame_count(&out)), (0, 50));
            for number in [0, 20, 49] {
                // In the middle of the frame's time.
                let at = f64::from(number) / 25.0;
                let corner = mean_rgb(&out, at, (4, 130, 300, 44));
                assert!(
                    corner.iter().all(|value| (value - wanted).abs() < 8.0),
                    "{codec} {background} {number}: {corner:?}"
                );
                let left = 20 + 4 * number;
                let [red, green, blue] = mean_rgb(&out, at, (left + 12, 52, 56, 56));
                assert!(
                    red > 225.0 && green < 30.0 && blue < 30.0,
                    "{codec} {background} {number}: {red} {green} {blue}"
                );
                // Nothing green stands where the square was or will be.
                let [red, green, blue] = mean_rgb(&out, at, (left - 12, 52, 8, 56));
                assert!(
                    green <= red.max(blue) + 12.0,
                    "{codec} {background} {number}: {red} {green} {blue}"
                );
            }
        }
    }
}

#[test]
fn colours_under_transparency_are_those_of_the_file() {
    // 720 lines without a tag are BT.709, also where they go through RGB.
    let clear = fixture(
        "hd.mov",
        "-f lavfi -i color=c=0xc02060:size=1280x720:rate=25:duration=0.4,format=rgba \
         -vf scale=out_color_matrix=bt709,format=yuva444p10le \
         -c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le -colorspace unknown",
    );
    let out = fresh("out.mp4");
    run(&encoding(&clear), &out).unwrap();
    let found = mean_rgb(&out, 0.2, (100, 100, 400, 400));
    for (found, wanted) in found.iter().zip([192.0, 32.0, 96.0]) {
        assert!((found - wanted).abs() < 6.0, "{found} is not {wanted}");
    }
}
