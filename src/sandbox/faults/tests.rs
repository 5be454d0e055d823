//! Tests of how rules are read, and when they strike.

use super::*;
use rand::SeedableRng;
use serde_json::json;

/// A rule is one flat object: a field of a fault must not have the name of one of the rule's.
#[test]
fn no_field_of_a_fault_hides_one_of_its_rule() {
    let rule: FaultRule = serde_json::from_value(json!({
        "fault": "poll_errors", "polls": 3, "status": 503, "times": 2
    }))
    .expect("a rule");
    let fault = Fault::PollErrors {
        polls: 3,
        status: 503,
        retry_after: None,
        envelope: false,
    };
    let twice = FaultRule {
        times: Some(2),
        ..FaultRule::always(fault)
    };
    assert_eq!(rule, twice);
    let polls = 7;
    for fault in [
        Fault::TooManyRequests {
            retry_after: Some(7),
        },
        Fault::Reject {
            code: 7,
            message: "m".into(),
        },
        Fault::EnvelopeError {
            code: 7,
            message: "m".into(),
        },
        Fault::Redirect { to: "t".into() },
        Fault::AcceptedThen5xx { status: 7 },
        Fault::AnswerLate { ms: 7 },
        Fault::FailedPrediction {
            code: 7,
            message: "m".into(),
        },
        Fault::Status { status: "s".into() },
        Fault::UnknownStatus { polls },
        Fault::Slow { polls },
        Fault::PollErrors {
            polls,
            status: 7,
            retry_after: Some(7),
            envelope: true,
        },
        Fault::OutputGone {
            downloads: Some(7),
            status: 7,
        },
        Fault::WebhookLate { ms: 7 },
    ] {
        let rule = FaultRule {
            times: Some(1),
            model: Some("model".into()),
            probability: Some(0.5),
            ..FaultRule::always(fault)
        }
        .of(Kind::Extend);
        let text = serde_json::to_string(&rule).expect("JSON");
        let back: FaultRule = serde_json::from_str(&text).expect(&text);
        assert_eq!(back, rule, "{text}");
    }
}

#[test]
fn a_rule_reads_as_people_write_it() {
    let rule: FaultRule = serde_json::from_value(json!({
        "fault": "failed_prediction", "kind": "extend", "times": 2
    }))
    .expect("a rule");
    assert_eq!(
        rule,
        FaultRule {
            times: Some(2),
            ..FaultRule::always(Fault::FailedPrediction {
                code: 1403,
                message: execution_failed_text()
            })
            .of(Kind::Extend)
        }
    );
    let text = serde_json::to_value(&rule).expect("JSON");
    assert_eq!(
        serde_json::from_value::<FaultRule>(text).expect("back"),
        rule
    );
    assert!(serde_json::from_value::<FaultRule>(json!({"fault": "gremlin"})).is_err());
}

#[test]
fn a_rule_may_say_how_often_looks_and_downloads_fail() {
    let read = |value| serde_json::from_value::<FaultRule>(value).expect("a rule");
    let rule = read(json!({"fault": "poll_errors", "times": 1, "polls": 7, "status": 404}));
    let fault = Fault::PollErrors {
        polls: 7,
        status: 404,
        retry_after: None,
        envelope: false,
    };
    assert_eq!(rule, FaultRule::once(fault));
    for (value, downloads, status) in [
        (json!({"fault": "output_gone"}), None, 404),
        (
            json!({"fault": "output_gone", "downloads": 2, "status": 403}),
            Some(2),
            403,
        ),
    ] {
        let fault = Fault::OutputGone { downloads, status };
        assert_eq!(read(value), FaultRule::always(fault));
    }
}

#[test]
fn a_rule_strikes_as_often_as_it_may_and_where_it_fits() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut faults = Faults(vec![
        FaultRule::once(Fault::AnswerLost).of(Kind::Upscale),
        FaultRule::once(Fault::Unauthorized),
        FaultRule::always(Fault::SilentVideo),
    ]);
    assert_eq!(
        faults.refusal(Kind::Extend, "m", &mut rng),
        Some(Fault::Unauthorized)
    );
    assert_eq!(faults.refusal(Kind::Extend, "m", &mut rng), None);
    assert_eq!(
        faults.rest(Kind::Extend, "m", &mut rng),
        [Fault::SilentVideo]
    );
    assert_eq!(
        faults.rest(Kind::Upscale, "m", &mut rng),
        [Fault::AnswerLost, Fault::SilentVideo]
    );
    assert_eq!(faults.0.len(), 1);
}
