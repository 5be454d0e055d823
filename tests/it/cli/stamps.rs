//! Signatures with a time stamp: of a stand-in for an authority, which `openssl` makes and checks.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::Workdir;
use crate::support::require;

const SETTINGS: &str = "[tsa]\ndefault_tsa = stand_in\n[stand_in]\nserial = serial\n\
    signer_cert = tsa.pem\nsigner_key = tsa-key.pem\nsigner_digest = sha256\n\
    default_policy = 1.2.3.4\ndigests = sha256\ness_cert_id_alg = sha256\n";

const EXTENSIONS: &str = "extendedKeyUsage=critical,timeStamping\n\
    keyUsage=critical,digitalSignature\nbasicConstraints=CA:FALSE\n\
    subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

struct Authority {
    folder: PathBuf,
    url: String,
    asked: Arc<AtomicU32>,
}

fn openssl(folder: &Path, arguments: &str) -> String {
    let ran = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    let log = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "openssl {arguments}: {told}{log}");
    told
}

impl Authority {
    /// One that is busy for its first `busy` answers.
    fn new(folder: &Path, busy: u32) -> Self {
        fs::write(folder.join("tsa.cnf"), SETTINGS).unwrap();
        fs::write(folder.join("tsa-extensions.cnf"), EXTENSIONS).unwrap();
        // Readers do not take an authority that signs for itself.
        let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        for arguments in [
            format!("req -x509 {new} -keyout ca-key.pem -out ca.pem -subj /CN=root -days 30"),
            format!("req -new {new} -keyout tsa-key.pem -out tsa.csr -subj /CN=stand-in/O=a"),
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out tsa.pem \
             -days 30 -extfile tsa-extensions.cnf"
                .to_owned(),
        ] {
            openssl(folder, &arguments);
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        let (count, home) = (Arc::clone(&asked), folder.to_owned());
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                answer(stream.unwrap(), &home, number < busy);
            }
        });
        Self {
            folder: folder.to_owned(),
            url,
            asked,
        }
    }
}

fn answer(mut stream: TcpStream, folder: &Path, busy: bool) {
    let mut request = Vec::new();
    let body = loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "half a request");
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some(head) = request.windows(4).position(|part| part == b"\r\n\r\n") else {
            continue;
        };
        assert!(text.contains("content-type: application/timestamp-query\r\n"));
        let length = text.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        if request.len() == head + 4 + length {
            break request[head + 4..].to_vec();
        }
    };
    let (status, body) = if busy {
        ("503 Service Unavailable", Vec::new())
    } else {
        fs::write(folder.join("query"), body).unwrap();
        openssl(
            folder,
            "ts -reply -config tsa.cnf -queryfile query -out reply",
        );
        ("200 OK", fs::read(folder.join("reply")).unwrap())
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .unwrap();
}

fn settings(place: &Workdir, url: &str, required: bool) {
    let text = format!("[provenance]\ntimestamp_url = '{url}'\ntimestamp_required = {required}\n");
    fs::write(place.path("filmlab.toml"), text).unwrap();
}

fn read(place: &Workdir, python: &Path, script: &str, file: &str) -> Value {
    let pem = fs::read_to_string(place.path("var/filmlab/signing.pem")).unwrap();
    let root = pem.rfind("-----BEGIN CERTIFICATE").unwrap();
    fs::write(place.path("root.pem"), &pem[root..]).unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/provenance");
    let ran = Command::new(python)
        .arg("-B")
        .arg(scripts.join(script))
        .args(["root.pem", file])
        .current_dir(place.0.path())
        .output()
        .unwrap();
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn a_signature_has_the_time_of_an_authority_or_goes_without_as_the_settings_say() {
    let (Some(clip), Some(python)) = (require::fixture("tiny.mp4"), require::manifest_readers())
    else {
        return;
    };
    let place = Workdir::new();
    let clip = clip.to_str().unwrap();
    let process = |out: &str| place.run(["process", clip, "--output", out, "--sign"]);
    // Busy once: it is asked again.
    let authority = Authority::new(place.0.path(), 1);
    settings(&place, &authority.url, true);
    process("stamped.mp4").succeeded();
    assert_eq!(authority.asked.load(Ordering::SeqCst), 2);
    let told = read(&place, &python, "manifest.py", "stamped.mp4");
    assert_eq!(told["valid"], true, "{told}");
    let token = hex::decode(told["stamp"]["token"].as_str().unwrap()).unwrap();
    fs::write(place.path("token"), token).unwrap();
    let digest = told["stamp"]["digest"].as_str().unwrap();
    let checked = openssl(
        &authority.folder,
        &format!(
            "ts -verify -digest {digest} -in token -token_in -CAfile ca.pem -untrusted tsa.pem"
        ),
    );
    assert!(checked.contains("Verification: OK"), "{checked}");
    let told = read(&place, &python, "reader.py", "stamped.mp4");
    assert_eq!(told["state"], "Trusted", "{told}");
    let codes = told["successes"].to_string();
    assert!(codes.contains("timeStamp.validated"), "{told}");

    // Nobody is there: without a stamp, or not at all.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = format!("http://{nobody}/");
    settings(&place, &nobody, false);
    process("bare.mp4").succeeded();
    let told = read(&place, &python, "manifest.py", "bare.mp4");
    assert_eq!(
        (&told["valid"], &told["stamp"]),
        (&Value::Bool(true), &Value::Null)
    );
    assert_eq!(
        read(&place, &python, "reader.py", "bare.mp4")["state"],
        "Trusted"
    );
    settings(&place, &nobody, true);
    let failed = process("none.mp4");
    assert!(failed.err.contains("output_unwritable"), "{failed:?}");
    assert!(!place.path("none.mp4").exists());
}
