//! The child process that works on one file: what it finds, what it has, how it ends.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use filmlab::job::Phase;
use filmlab::media::{
    Cancel, DEFAULT_MAX_ALLOCATION, Event, Expectation, FileInput, FileOutput, Force, Input,
    Limits, LocalSigner, MediaCode, Placement, PosterTo, Profile, Provenance, ReadSeek, Render,
    Report, Signer, Timings, Watermark,
};
use filmlab::quarantine::{Answer, Bounds, Done, Lifeline, Lost, Mode, Quarantine, Work};
use rustix::process::Signal;

use crate::support::quarantine::{
    broken, child, children, is_bound, kill, limit, runs, until_gone,
};
use crate::support::{PROGRAM, require};

fn quarantine() -> Quarantine {
    Quarantine {
        mode: Mode::Always,
        program: PROGRAM.into(),
        max_allocation: DEFAULT_MAX_ALLOCATION,
    }
}

fn bounds() -> Bounds {
    Bounds::new(1 << 30, 4, Duration::from_secs(600))
}

fn limits() -> Limits {
    Limits {
        threads: 1,
        ..Limits::default()
    }
}

fn run(phase: Phase, work: Work) -> Result<Done, Lost> {
    let lifeline = Lifeline::default();
    quarantine().run(phase, work, &limits(), bounds(), &lifeline, &mut |_| {})
}

fn input(path: &Path) -> Arc<dyn Input> {
    Arc::new(FileInput::new(path))
}

/// A render with everything that can be asked for.
fn render(clip: &Path, logo: &Path) -> Render {
    Render {
        main: input(clip),
        before: Some(input(clip)),
        audio_source: Some(input(clip)),
        profile: Profile::builtin("web").unwrap(),
        strict: false,
        main_is_silent: false,
        audio_track: None,
        source_track: None,
        watermarks: vec![Watermark {
            image: input(logo),
            placement: Placement {
                fade_in_ms: 100,
                ..Placement::default()
            },
        }],
        force: Force::default(),
        poster: Some(PosterTo::Report),
        storyboard: true,
        checks: filmlab::media::Checks::default(),
        limits: limits(),
        threads: 1,
        provenance: Some(Provenance {
            source_type: None,
            id: "urn:uuid:1".to_owned(),
            created_at: "2026-11-27T12:34:56Z".parse().unwrap(),
            provider: Some("a provider".to_owned()),
            model: None,
            aigc_producer: None,
        }),
        audible: false,
        signer: None,
        index_room: None,
    }
}

struct Stand {
    dir: tempfile::TempDir,
    clip: PathBuf,
    logo: PathBuf,
}

fn stand() -> Option<Stand> {
    Some(Stand {
        dir: tempfile::tempdir().unwrap(),
        clip: require::fixture("tiny.mp4")?,
        logo: require::fixture("logo.png")?,
    })
}

impl Stand {
    fn broken(&self, told: &str) -> PathBuf {
        broken(&self.clip, told, &self.dir.path().join("broken.mp4"))
    }

    fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "broken.mp4")
            .collect();
        names.sort();
        names
    }
}

fn without_times(report: &Report) -> Report {
    Report {
        timings: Timings::default(),
        ..report.clone()
    }
}

#[test]
fn a_child_finds_and_makes_what_this_process_would() {
    let Some(stand) = stand() else { return };
    let (clip, logo) = (&stand.clip, &stand.logo);
    let expected = Expectation {
        listen: true,
        ..Expectation::default()
    };
    let here = |phase, work: Work| {
        let limits = limits();
        work.run(phase, &limits, &Cancel::new(), &mut |_| {})
            .unwrap()
    };
    let there = |phase, work| run(phase, work).unwrap().result.unwrap();
    for (phase, work) in [
        (
            Phase::Source,
            (|clip| Work::Probe(clip, None)) as fn(_) -> Work,
        ),
        (Phase::Listen, |clip| Work::Audible(clip, None)),
    ] {
        let both = (
            here(phase, work(input(clip))),
            there(phase, work(input(clip))),
        );
        match both {
            (Answer::Probe(here), Answer::Probe(there)) => assert_eq!(here, there),
            (Answer::Audible(here), Answer::Audible(there)) => assert_eq!(here, there),
            other => panic!("{other:?}"),
        }
    }
    let both = (
        here(Phase::Mark, Work::Picture(input(logo))),
        there(Phase::Mark, Work::Picture(input(logo))),
    );
    let (Answer::Picture(one), Answer::Picture(two)) = both else {
        panic!("{both:?}")
    };
    assert_eq!(one, two);
    let verify = || Work::Verify(input(clip), Box::new(expected.clone()));
    let both = (here(Phase::Check, verify()), there(Phase::Check, verify()));
    let (Answer::Verified(one), Answer::Verified(two)) = both else {
        panic!("{both:?}")
    };
    assert_eq!(one, two);

    let made = |name: &str| {
        let path = stand.dir.path().join(name);
        let output = Box::new(FileOutput::new(&path));
        (path, Work::Render(Box::new(render(clip, logo)), output))
    };
    let (one, work) = made("here.mp4");
    let Answer::Rendered(here, _) = here(Phase::Render, work) else {
        panic!()
    };
    let (two, work) = made("there.mp4");
    let mut events = Vec::new();
    let lifeline = Lifeline::default();
    let done = quarantine().run(
        Phase::Render,
        work,
        &limits(),
        bounds(),
        &lifeline,
        &mut |event| events.push(event),
    );
    let done = done.unwrap();
    assert!(done.cpu > Duration::from_millis(1), "{:?}", done.cpu);
    let Ok(Answer::Rendered(there, _)) = done.result else {
        panic!()
    };
    assert_eq!(without_times(&here), without_times(&there));
    assert!(there.poster_jpeg.is_some());
    assert!(here.storyboard_jpeg.is_some());
    assert!(there.storyboard_jpeg == here.storyboard_jpeg);
    let bytes = std::fs::read(&one).unwrap();
    assert_eq!(there.bytes, bytes.len() as u64);
    assert!(bytes == std::fs::read(&two).unwrap(), "another file");
    assert!(matches!(events.first(), Some(Event::Planned(_))));
    assert!(matches!(events.last(), Some(Event::Done)));
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Progress(_)))
    );
    assert_eq!(stand.files(), ["here.mp4", "there.mp4"]);
    assert_eq!(children(std::process::id()), []);
}

/// Counts what it signs.
#[derive(Debug)]
struct Counted(LocalSigner, AtomicU32);

impl Signer for Counted {
    fn chain(&self) -> &[Vec<u8>] {
        self.0.chain()
    }

    fn sign(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.sign(bytes)
    }
}

#[test]
fn a_child_signs_with_a_key_that_it_does_not_have() {
    let Some(stand) = stand() else { return };
    let Some(python) = require::manifest_readers() else {
        return;
    };
    let pem = stand.dir.path().join("signing.pem");
    let local = LocalSigner::load_or_make(&pem).unwrap();
    let text = std::fs::read_to_string(&pem).unwrap();
    let root = text.rfind("-----BEGIN CERTIFICATE").unwrap();
    std::fs::write(&pem, &text[root..]).unwrap();
    let counted = Arc::new(Counted(local, AtomicU32::new(0)));
    let out = stand.dir.path().join("there.mp4");
    let mut render = render(&stand.clip, &stand.logo);
    render.signer = Some(Arc::clone(&counted) as Arc<dyn Signer>);
    let work = Work::Render(Box::new(render), Box::new(FileOutput::new(&out)));
    run(Phase::Render, work).unwrap().result.unwrap();
    assert_eq!(counted.1.load(Ordering::SeqCst), 1);
    let ran = std::process::Command::new(python)
        .args(["-B", "scripts/provenance/manifest.py"])
        .args([&pem, &out])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(told.starts_with("{\"valid\": true"), "{told}");
}

#[test]
fn what_is_wrong_with_a_file_is_told_as_it_would_be_here() {
    let Some(stand) = stand() else { return };
    let junk = stand.dir.path().join("junk.mp4");
    std::fs::write(&junk, [7; 5000]).unwrap();
    for path in [&junk, &stand.dir.path().join("none.mp4"), &stand.logo] {
        let here = Work::Probe(input(path), None).run(
            Phase::Source,
            &limits(),
            &Cancel::new(),
            &mut |_| {},
        );
        let there = run(Phase::Source, Work::Probe(input(path), None))
            .unwrap()
            .result;
        let (here, there) = (here.unwrap_err(), there.unwrap_err());
        assert_eq!((here.code, &here.message), (there.code, &there.message));
        assert_eq!(here.context.stage, there.context.stage);
    }
    // An output that would grow too large leaves nothing behind.
    let mut small = render(&stand.clip, &stand.logo);
    small.limits.max_output_bytes = 2000;
    let output = Box::new(FileOutput::new(stand.dir.path().join("out.mp4")));
    let made = run(Phase::Render, Work::Render(Box::new(small), output));
    let error = made.unwrap().result.unwrap_err();
    assert_eq!(error.code, MediaCode::OutputTooLarge, "{error}");
    assert_eq!(stand.files(), ["junk.mp4"]);
}

/// Work of each phase on a clip, with an output where there is one.
fn works(stand: &Stand, clip: &Path) -> Vec<(Phase, Work)> {
    let render = Render {
        before: None,
        audio_source: None,
        ..render(clip, &stand.logo)
    };
    let output = Box::new(FileOutput::new(stand.dir.path().join("out.mp4")));
    let expected = Box::<Expectation>::default;
    vec![
        (Phase::Source, Work::Probe(input(clip), None)),
        (Phase::Check, Work::Verify(input(clip), expected())),
        (Phase::Listen, Work::Audible(input(clip), None)),
        (Phase::Render, Work::Render(Box::new(render), output)),
        (Phase::Verify, Work::Verify(input(clip), expected())),
    ]
}

#[test]
fn a_death_in_any_phase_is_told_and_leaves_nothing() {
    let Some(stand) = stand() else { return };
    for number in 0..5 {
        let phase = works(&stand, &stand.clip)[number].0;
        let clip = stand.broken(&format!("abort@{}", phase.as_str()));
        let (phase, work) = works(&stand, &clip).swap_remove(number);
        let lost = run(phase, work).unwrap_err();
        assert!(matches!(lost, Lost::Died(_)), "{phase:?}: {lost}");
        assert!(lost.to_string().contains("signal: 6"), "{lost}");
        assert_eq!(stand.files(), Vec::<String>::new());
    }
    // The same files harm nobody elsewhere.
    let clip = stand.broken("abort@render");
    assert!(
        run(Phase::Source, Work::Probe(input(&clip), None))
            .unwrap()
            .result
            .is_ok()
    );
}

#[test]
fn a_child_that_takes_too_much_time_is_ended() {
    let Some(stand) = stand() else { return };
    let clip = stand.broken("spin@source");
    let bounds = Bounds::new(1 << 30, 1, Duration::from_secs(1));
    let (began, lifeline) = (Instant::now(), Lifeline::default());
    let lost = quarantine().run(
        Phase::Source,
        Work::Probe(input(&clip), None),
        &limits(),
        bounds,
        &lifeline,
        &mut |_| {},
    );
    let lost = lost.unwrap_err();
    assert!(lost.to_string().contains("processor time"), "{lost}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_child_that_takes_too_much_memory_is_ended() {
    let Some(stand) = stand() else { return };
    let clip = stand.broken("hoard@source");
    let bounds = Bounds::new(64 << 20, 1, Duration::from_secs(600));
    let lifeline = Lifeline::default();
    let lost = quarantine().run(
        Phase::Source,
        Work::Probe(input(&clip), None),
        &limits(),
        bounds,
        &lifeline,
        &mut |_| {},
    );
    let lost = lost.unwrap_err();
    assert!(matches!(lost, Lost::Died(_)), "{lost}");
    // Usual work fits, with the least that can be set.
    let fine = quarantine().run(
        Phase::Source,
        Work::Probe(input(&stand.clip), None),
        &limits(),
        bounds,
        &Lifeline::default(),
        &mut |_| {},
    );
    assert!(fine.unwrap().result.is_ok());
}

/// Starts work that waits in the child until it is ended; gives its id and what becomes of it.
fn stalled(
    stand: &Stand,
    number: usize,
) -> (u32, Lifeline, std::thread::JoinHandle<Result<Done, Lost>>) {
    let phase = works(stand, &stand.clip)[number].0;
    let clip = stand.broken(&format!("stall@{}", phase.as_str()));
    let (phase, work) = works(stand, &clip).swap_remove(number);
    let lifeline = Lifeline::default();
    let held = lifeline.clone();
    let running = std::thread::spawn(move || {
        quarantine().run(phase, work, &limits(), bounds(), &held, &mut |_| {})
    });
    let pid = child(std::process::id(), phase.as_str());
    // It has put itself under its bounds once it reads the file.
    let began = Instant::now();
    while !is_bound(pid) {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::park_timeout(Duration::from_millis(5));
    }
    (pid, lifeline, running)
}

#[test]
fn a_child_has_no_environment_no_descriptors_and_no_room() {
    let Some(stand) = stand() else { return };
    // One of ours that would be handed down.
    let file = std::fs::File::open(&stand.clip).unwrap();
    let leaking = rustix::io::dup(&file).unwrap();
    assert!(
        std::env::vars_os().count() > 1,
        "there is something to hide"
    );
    let (pid, lifeline, running) = stalled(&stand, 0);
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let environment = std::fs::read(proc.join("environ")).unwrap();
    let names: Vec<_> = environment
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty() && !entry.starts_with(b"LD_LIBRARY_PATH="))
        .collect();
    assert_eq!(names, Vec::<&[u8]>::new());
    let mut open: Vec<_> = std::fs::read_dir(proc.join("fd"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let target = std::fs::read_link(entry.path()).unwrap();
            let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
            (number, target.to_string_lossy().starts_with("pipe:"))
        })
        .collect();
    open.sort_unstable();
    assert_eq!(open, [(0, true), (1, true), (2, true)]);
    drop(leaking);
    assert_eq!(
        std::fs::read_link(proc.join("cwd")).unwrap(),
        Path::new("/")
    );
    let given = bounds();
    for (name, expected) in [
        ("Max data size", given.memory.to_string()),
        ("Max cpu time", given.cpu.as_secs().to_string()),
        ("Max open files", "16".to_owned()),
        ("Max file size", "0".to_owned()),
        ("Max core file size", "0".to_owned()),
    ] {
        assert_eq!(limit(pid, name), expected, "{name}");
    }
    lifeline.cut();
    assert!(matches!(running.join().unwrap(), Err(Lost::Cut)));
    assert!(!runs(pid));
}

#[test]
fn a_child_ends_with_its_lifeline_and_by_force_in_every_phase() {
    let Some(stand) = stand() else { return };
    for number in 0..5 {
        let (pid, lifeline, running) = stalled(&stand, number);
        lifeline.cut();
        assert!(matches!(running.join().unwrap(), Err(Lost::Cut)));
        until_gone(pid);
        let (pid, _, running) = stalled(&stand, number);
        kill(pid, Signal::KILL);
        assert!(matches!(running.join().unwrap(), Err(Lost::Died(_))));
        assert_eq!(stand.files(), Vec::<String>::new());
    }
    // Whoever stops the whole machine means no file.
    let (pid, _, running) = stalled(&stand, 0);
    kill(pid, Signal::TERM);
    assert!(matches!(running.join().unwrap(), Err(Lost::Told(15))));
    // One that was given up before it began is not begun.
    let lifeline = Lifeline::default();
    lifeline.cut();
    let work = Work::Probe(input(&stand.clip), None);
    let lost = quarantine().run(
        Phase::Source,
        work,
        &limits(),
        bounds(),
        &lifeline,
        &mut |_| {},
    );
    assert!(matches!(lost, Err(Lost::Cut)));
}

#[test]
fn what_is_no_child_is_no_files_fault() {
    let Some(stand) = stand() else { return };
    for program in ["/nonexistent/filmlab", "/bin/true", "/bin/echo"] {
        let quarantine = Quarantine {
            program: program.into(),
            ..quarantine()
        };
        let lost = quarantine.run(
            Phase::Source,
            Work::Probe(input(&stand.clip), None),
            &limits(),
            bounds(),
            &Lifeline::default(),
            &mut |_| {},
        );
        let lost = lost.unwrap_err();
        assert!(matches!(lost, Lost::NotStarted(_)), "{program}: {lost}");
    }
}

/// An input that opens, and cannot be read.
#[derive(Debug)]
struct Failing(FileInput);

struct FailingReader(Box<dyn ReadSeek>);

impl Input for Failing {
    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(FailingReader(self.0.open()?)))
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
}

impl Read for FailingReader {
    fn read(&mut self, _bytes: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::TimedOut, "the store is away"))
    }
}

impl Seek for FailingReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_store_that_fails_is_no_death() {
    let Some(stand) = stand() else { return };
    let input: Arc<dyn Input> = Arc::new(Failing(FileInput::new(&stand.clip)));
    let verify = Work::Verify(input, Box::default());
    let error = run(Phase::Check, verify).unwrap().result.unwrap_err();
    assert_eq!(error.code, MediaCode::InputUnreadable, "{error}");
}
