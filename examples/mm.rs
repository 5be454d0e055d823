use filmlab::media::*;
use std::sync::Arc;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut p = Profile::builtin("web").unwrap();
    if a.len() > 3 {
        p.video.max_rate = Some(1);
    }
    let r = Render {
        main: Arc::new(FileInput::new(&a[1])),
        audio_source: None,
        profile: p,
        watermark: a.get(4).map(|l| Watermark {
            image: Arc::new(FileInput::new(l)),
            placement: Placement::default(),
        }),
        poster: a.get(5).map(|p| p.into()),
        limits: Limits::default(),
        threads: 0,
    };
    let mut o = FileOutput::new(&a[2]);
    let rep = render(&r, &mut o, &Cancel::new(), &mut |e| {
        if let Event::Planned(p) = e {
            println!("{}", serde_json::to_string(&p).unwrap())
        }
    });
    match rep {
        Ok(r) => println!("{}", serde_json::to_string_pretty(&r).unwrap()),
        Err(e) => println!("{e:?}"),
    }
}
