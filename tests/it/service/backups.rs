//! A copy of a running service, put in place behind the provider.

use std::process::Command;
use std::time::Duration;

use filmlab::job::{Code, Status};
use filmlab::sandbox::{Fault, FaultRule, Faults, SandboxConfig};

use super::lab::{GRANT, Lab};

fn ran(command: &mut Command) -> (Option<i32>, String, String) {
    let ran = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

/// One job is done when the copy is made, one waits for a place at the provider. That one pays
/// after the copy: the restored service must not pay for it again.
#[tokio::test]
async fn a_job_that_paid_after_the_copy_is_not_bought_again() {
    let Some(lab) = Lab::new(SandboxConfig::default()).await else {
        return;
    };
    let service = lab.start().await;
    let done = lab.create(&service).await;
    lab.assert_completed_once(&service, &done).await;
    let result = lab.ended(&service, &done).await.result.unwrap();
    let busy = Fault::TooManyRequests {
        retry_after: Some(6),
    };
    lab.sandbox.add_fault(FaultRule::always(busy));
    let later = lab.create(&service).await;
    lab.until(&service, &later, |job| {
        let error = job.error.as_ref();
        error.is_some_and(|error| error.code == Code::ProviderBusy)
    })
    .await;

    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let copied = copy.display().to_string();
    let (status, out, err) = ran(&mut lab.command(&["backup", &copied]));
    assert_eq!(status, Some(0), "{out}{err}");
    let (status, _, err) = ran(&mut lab.command(&["backup", &copied]));
    assert_eq!(status, Some(70), "{err}");
    assert!(err.contains("output_unwritable"), "{err}");

    // The service goes on, and pays.
    lab.sandbox.set_faults(Faults::default());
    let job = lab.ended(&service, &later).await;
    assert_eq!(job.status, Status::Completed, "{job:#?}");
    assert_eq!(lab.sandbox.submissions().len(), 2);
    service.stop().await;

    // Nothing is put over what is there.
    let (status, _, err) = ran(&mut lab.command(&["restore", &copied]));
    assert_eq!(status, Some(70), "{err}");
    assert!(err.contains("is there already"), "{err}");
    std::fs::remove_dir_all(lab.data()).unwrap();
    let (status, out, err) = ran(&mut lab.command(&["restore", &copied]));
    assert_eq!(status, Some(0), "{out}{err}");
    assert!(out.contains(&later) && !out.contains(&done), "{out}");

    let service = lab.start().await;
    let job = lab.ended(&service, &later).await;
    assert_eq!(job.status, Status::Cancelled, "{job:#?}");
    assert_eq!(lab.sandbox.submissions().len(), 2, "it was bought again");
    // What was held for it came back.
    let owner = "local".parse().unwrap();
    let account = service.ledger.account(&owner).await.unwrap().unwrap();
    let cost = lab.ended(&service, &done).await.credits.cost.unwrap().0 as i64;
    assert_eq!((account.credits, account.credits_held), (GRANT - cost, 0));
    // What was done is there, file and record.
    assert!(lab.object(&result.video).is_file());

    // Whoever wants it pays for it by a decision of their own.
    let address = format!("http://{}/v1/jobs/{later}/retry", service.address);
    let answer = lab.http.post(address).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    tokio::time::timeout(Duration::from_secs(60), async {
        lab.until(&service, &later, |job| job.status == Status::Completed)
            .await
    })
    .await
    .unwrap();
    assert_eq!(lab.sandbox.submissions().len(), 3);
    service.stop().await;
}
