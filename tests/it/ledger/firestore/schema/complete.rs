//! A job with every field there is, written out so that a new one does not go unnoticed.

use filmlab::job::{
    CancelAfterSubmit, CharacterReplace, Code, Counted, CreditState, Credits, DurationMeaning,
    Extend, Fence, Generated, Intent, IntentState, Job, JobCredits, JobError, Kept, Label, Lease,
    NativeWork, Notify, Output, Params, Party, PassedFor, PassedOver, Phase, Progress, Provenance,
    ProviderInputs, ProviderState, Published, Resolution, SCHEMA_VERSION, Source, SourceFacts,
    Stage, Status, Terms, TimelineEntry, Timings, Upscale, Waiting, WaitsFor, Wake, WatermarkSpec,
};

use super::super::super::bench::{at, origin, said};

/// One of each kind.
pub(super) fn params() -> [Params; 3] {
    [
        Params::CharacterReplace(CharacterReplace {
            prompt: Some("2026-01-02T03:04:05Z is no moment here".into()),
            resolution: Resolution::P720,
            seed: Some(7),
        }),
        Params::Extend(Extend {
            prompt: "2026-01-02T03:04:05Z".into(),
            seconds: 5,
            resolution: Resolution::P720,
            seed: Some(-1),
        }),
        Params::Upscale(Upscale {
            target: Resolution::K4,
        }),
    ]
}

#[allow(clippy::too_many_lines, reason = "it names every field")]
pub(super) fn job() -> Job {
    let [params, ..] = params();
    Job {
        schema_version: SCHEMA_VERSION,
        id: "j0".parse().unwrap(),
        owner: "u1".parse().unwrap(),
        params,
        source: Source {
            video: "sources/u1/v.mp4".parse().unwrap(),
            image: Some("https://pictures.example/c.png".parse().unwrap()),
            audio_track: Some("deu".into()),
        },
        output: Output {
            profile: "web".into(),
            watermark: vec![
                WatermarkSpec {
                    image: Some("sources/u1/logo.png".parse().unwrap()),
                    anchor: Some("bottom-right".into()),
                    scale: Some("15%".into()),
                    offset_x: Some("3%".into()),
                    offset_y: Some("24px".into()),
                    opacity: Some(0.3),
                    from_ms: Some(500),
                    until_ms: Some(4500),
                    fade_in_ms: Some(200),
                    fade_out_ms: Some(300),
                    ..WatermarkSpec::default()
                },
                WatermarkSpec {
                    text: Some("@alice".into()),
                    font: Some("Noto Sans".into()),
                    size: Some("4%".into()),
                    color: Some("#ffffff".into()),
                    stroke: Some("none".into()),
                    background: Some("#00000080".into()),
                    anchor: Some("top".into()),
                    ..WatermarkSpec::default()
                },
            ],
        },
        notify: Notify {
            webhook: Some("https://hooks.example/x".parse().unwrap()),
            fcm_token: Some("device-1".into()),
        },
        tags: vec!["blue".into()],
        status: Status::Processing,
        stage: Some(Stage::Submit),
        progress: Progress {
            percent: 0.0,
            phase: Some(Stage::Submit),
            eta_s: Some(3),
        },
        attempt: 1,
        attempt_failed: false,
        crashes: 1,
        native: Some(NativeWork {
            process: "w-x".into(),
            fence: Fence(1),
            phase: Phase::Source,
            party: Party::Caller,
        }),
        round: 1,
        revision: 0,
        lease: Lease {
            holder: Some("a".into()),
            fence: Fence(1),
            expires_at: Some(at(61)),
        },
        wake: Wake {
            seq: 1,
            at: Some(at(0)),
        },
        next_visit_at: Some(at(61)),
        deadline_at: at(7200),
        max_price: Some(0.5),
        provenance: Some(Provenance {
            metadata: true,
            sign: true,
            model: true,
            upscale_is_composite: true,
            provider: Some("x".into()),
            aigc_producer: Some("x".into()),
            label: Some(Label {
                words: "AI-generated".into(),
                anchor: Some("top-left".into()),
                until_ms: Some(2000),
            }),
        }),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        provider: provider(),
        intents: vec![Intent {
            id: "1-1".into(),
            model: "m".into(),
            at: at(1),
            state: IntentState::Unknown,
            prediction_id: Some("p1".into()),
            unknown_until: Some(at(50)),
            terms: Some(Terms {
                revision: 2,
                duration: DurationMeaning::Whole,
                usd: Some(0.5),
            }),
            counted: Some(Counted::Paid),
        }],
        passed_over: vec![PassedOver {
            model: "m0".into(),
            why: PassedFor::Refused,
            reason: "x".into(),
            at: at(1),
        }],
        generated: Some(Generated {
            object: "work/g.mp4".into(),
            bytes: 9,
        }),
        result: Some(published()),
        result_expired_at: Some(at(99)),
        kept: Kept {
            results: Some(at(9)),
            generated: Some(at(9)),
        },
        error: Some(JobError {
            code: Code::InvalidJob,
            message: "x".into(),
            party: Party::Caller,
            stage: Some(Stage::Submit),
            attempt: 1,
            at: at(1),
        }),
        waiting: Some(Waiting {
            what: WaitsFor::Account,
            since: at(1),
            fence: Fence(1),
        }),
        credits: JobCredits {
            cost: Some(Credits(4)),
            state: CreditState::Held,
            cancel_after_submit: Some(CancelAfterSubmit::Capture),
        },
        timings: Timings {
            stages_ms: [("submit".to_owned(), 5)].into(),
            timeline: vec![TimelineEntry {
                at: at(1),
                stage: Some(Stage::Generate),
                waits_for: Some(WaitsFor::Provider),
                attempt: 2,
                code: Some(Code::ProviderFailed),
                shortened: true,
            }],
        },
        heard: Some("2-7".into()),
        cancel_requested: false,
        created_at: at(0),
        updated_at: at(0),
        completed_at: Some(at(9)),
        extra: [].into(),
    }
}

fn published() -> Published {
    Published {
        video: "results/v.mp4".into(),
        poster: "results/p.jpg".into(),
        metadata: "results/m.json".into(),
        storyboard: Some("results/s.jpg".into()),
        storyboard_vtt: Some("results/s.vtt".into()),
        bytes: 7,
        duration_ms: 5,
        width: 4,
        height: 2,
        provenance: Some(Box::new(origin())),
    }
}

fn provider() -> ProviderState {
    ProviderState {
        model: Some("m".into()),
        prediction_id: Some("p1".into()),
        submitted_at: Some(at(1)),
        polls: 0,
        inputs: Some(ProviderInputs {
            video: "https://cdn.example/v.mp4".into(),
            image: Some("https://cdn.example/c.png".into()),
            expires_at: at(3600),
            facts: SourceFacts {
                video_object: "sources/u1/v.mp4".into(),
                image_object: Some("sources/u1/c.png".into()),
                duration_ms: 5_000,
                width: 640,
                height: 360,
                fps: 30.0,
                frames: Some(150),
                has_audio: true,
                provenance: Some(Box::new(said())),
            },
        }),
        output_url: Some("https://cdn.example/o.mp4".into()),
        missing_since: Some(at(2)),
        closed_addresses: 2,
        closed_since: Some(at(3)),
    }
}
