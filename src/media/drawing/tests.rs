use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::*;

const HEAD: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" \
                    xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"0 0 40 20\">";

fn read(inside: &str) -> Result<Drawing, MediaError> {
    Drawing::read(format!("{HEAD}{inside}</svg>").as_bytes())
}

fn refused(inside: &str) -> String {
    let begun = Instant::now();
    let error = read(inside).err().unwrap_or_else(|| {
        let shown: String = inside.chars().take(200).collect();
        panic!("taken: {shown}")
    });
    assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
    error.message
}

fn pixel(image: &Image, x: u32, y: u32) -> [u8; 4] {
    let at = ((y * image.width + x) * 4) as usize;
    image.rgba[at..at + 4].try_into().unwrap()
}

#[test]
fn a_drawing_is_drawn_at_the_size_that_is_needed() {
    let file = read(
        "<!-- a logo --><style>.a{fill:url(#g)} /* } */</style><defs>\
         <linearGradient id=\"g\"><stop stop-color=\"#f00\"/></linearGradient>\
         <clipPath id=\"c\"><rect width=\"20\" height=\"20\"/></clipPath></defs>\
         <a href=\"https://example.com\"><g clip-path=\"url(#c)\"><rect class=\"a\" width=\"40\" \
         height=\"20\"/></g></a><circle cx=\"30\" cy=\"10\" r=\"5\" fill=\"#00f\" \
         fill-opacity=\"0.5\"/>",
    )
    .unwrap();
    assert_eq!((file.width, file.height), (1000, 500));
    for scale in [1, 3, 50] {
        let image = file.draw(40 * scale, 20 * scale).unwrap();
        let at = |x: u32, y: u32| pixel(&image, x * scale + scale / 2, y * scale + scale / 2);
        assert_eq!(at(10, 10), [255, 0, 0, 255]);
        assert_eq!(at(22, 2), [0; 4]);
        let [r, g, b, alpha] = at(30, 10);
        assert!(r < 2 && g < 2 && b > 253 && alpha.abs_diff(128) < 2);
    }
    // In the middle of what is too wide for it.
    let image = file.draw(100, 20).unwrap();
    assert_eq!(pixel(&image, 10, 10), [0; 4]);
    assert_eq!(pixel(&image, 40, 10), [255, 0, 0, 255]);
}

#[test]
fn what_is_markup_is_told_from_what_is_not() {
    for head in [
        &b"<svg"[..],
        b"\xef\xbb\xbf \n<?xml version='1.0'?><!DOCTYPE svg PUBLIC 'a' 'b'><svg ",
        b"<s:svg xmlns:s=\"http://www.w3.org/2000/svg\"/>",
    ] {
        assert!(is_svg(head), "{head:?}");
    }
    for head in [
        &b""[..],
        b"  ",
        b"<html><body>",
        b"\x89PNG\r\n",
        b"\x1f\x8b\x08",
        // What an editor notes in a picture of pixels.
        b"\x89PNG\r\n <x:xmpmeta xmlns:svg=\"http://www.w3.org/2000/svg\">",
    ] {
        assert!(!is_svg(head), "{head:?}");
    }
}

#[test]
fn what_is_not_drawn_is_refused_by_name() {
    for (inside, told) in [
        ("<script>alert(1)</script>", "a script"),
        (
            "<g><x:script xmlns:x=\"http://www.w3.org/2000/svg\"/></g>",
            "a script",
        ),
        (
            "<image href=\"http://127.0.0.1/x.png\"/>",
            "a picture inside",
        ),
        (
            "<image xlink:href=\"file:///etc/passwd\"/>",
            "a picture inside",
        ),
        (
            "<image href=\"data:image/png;base64,AA==\"/>",
            "a picture inside",
        ),
        ("<use href=\"other.svg#a\"/>", "outside of it"),
        ("<use xlink:href=\"http://127.0.0.1/#a\"/>", "outside of it"),
        ("<rect fill=\"url(http://127.0.0.1/a)\"/>", "outside of it"),
        ("<rect style=\"fill: url( 'a.svg#b' )\"/>", "outside of it"),
        ("<style>@import 'a.css';</style>", "another file"),
        ("<style>@font-face{src:url(a.ttf)}</style>", "outside of it"),
        ("<?xml-stylesheet href=\"a.css\"?>", "another file"),
        ("<text>words</text>", "a layer of text"),
        ("<foreignObject/>", "not SVG"),
        ("<rect><animate/></rect>", "an animation"),
        ("<path marker-end=\"url(#m)\" d=\"M0 0 9 9\"/>", "markers"),
        ("<style>path{marker:url(#m)}</style>", "markers"),
        (
            "<style>g > rect{clip-path:url(#m)}</style>",
            "more than a class",
        ),
        (
            "<filter id=\"f\"><feGaussianBlur stdDeviation=\"9\"/></filter>\
             <rect width=\"9\" height=\"9\" filter=\"url(#f)\"/>",
            "a filter",
        ),
    ] {
        let message = refused(inside);
        assert!(message.contains(told), "{inside}: {message}");
    }
    let entities = "<!DOCTYPE svg [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><svg>&b;</svg>";
    let error = Drawing::read(entities.as_bytes()).err().unwrap();
    assert!(error.message.contains("entities"), "{error}");
    assert!(Drawing::read(b"<svg xmlns='http://www.w3.org/2000/svg'/\xff>").is_err());
    assert!(Drawing::read(&vec![b' '; MOST_BYTES + 1]).is_err());
}

#[test]
fn what_would_take_all_time_or_memory_is_refused() {
    // Each part repeats the one before ten times: 10 to the power of nine squares.
    let mut bomb = "<rect id=\"a0\" width=\"1\" height=\"1\"/>".to_owned();
    for level in 1..10 {
        let uses = format!("<use href=\"#a{}\"/>", level - 1).repeat(10);
        let _ = write!(bomb, "<g id=\"a{level}\">{uses}</g>");
    }
    refused(&bomb);
    // The same where a second part of that name hides the first.
    refused(&format!(
        "{bomb}{}",
        bomb.replace("a9", "z").replace("<g id", "<g class")
    ));
    refused("<g id=\"a\"><use href=\"#a\"/></g>");
    refused(&format!(
        "{}{}",
        "<g>".repeat(50_000),
        "</g>".repeat(50_000)
    ));
    refused(&"<g/>".repeat(20_000));
    // A chain of references that the reader would follow by calling itself.
    let mut chain = "<clipPath id=\"c0\"><rect width=\"9\" height=\"9\"/></clipPath>".to_owned();
    for level in 1..5000 {
        let _ = write!(
            chain,
            "<clipPath id=\"c{level}\" clip-path=\"url(#c{})\"><path/></clipPath>",
            level - 1
        );
    }
    refused(&format!(
        "{chain}<rect clip-path=\"url(#c4999)\" width=\"9\" height=\"9\"/>"
    ));
    refused(&format!(
        "<style>.a{{clip-path:url(#c4999)}}</style>{chain}<rect class=\"a\" width=\"9\" height=\"9\"/>"
    ));
    // Layers as large as the picture, one after the other and one within the other.
    let faint =
        "<g opacity=\"0.5\"><rect width=\"40\" height=\"20\"/><rect width=\"9\" height=\"9\"/></g>";
    refused(&faint.repeat(400));
    let within = "<g opacity=\"0.5\"><rect width=\"40\" height=\"20\"/>";
    refused(&format!("{}{}", within.repeat(20), "</g>".repeat(20)));
    // Patterns within patterns.
    let mut patterns =
        "<pattern id=\"p0\" width=\"1\" height=\"1\"><rect width=\"1\" height=\"1\"/></pattern>"
            .to_owned();
    for level in 1..5 {
        let _ = write!(
            patterns,
            "<pattern id=\"p{level}\" width=\"1\" height=\"1\">{}</pattern>",
            format!(
                "<rect width=\"1\" height=\"1\" fill=\"url(#p{})\"/>",
                level - 1
            )
            .repeat(9)
        );
    }
    refused(&format!(
        "{patterns}<rect width=\"40\" height=\"20\" fill=\"url(#p4)\"/>"
    ));
    // A line of a million dashes.
    refused("<path stroke=\"#000\" stroke-dasharray=\"0.0001\" d=\"M0 0H40V20H0z\"/>");
    // Rules by the thousand, each tried on each element.
    refused(&format!("<style>{}</style>", "a{}".repeat(20_000)));
}

#[test]
fn drawings_of_any_shape_have_usable_sides() {
    let sides = |size: &str| {
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {size}><path d=\"M0 0H9V9z\"/></svg>"
        );
        let read = Drawing::read(svg.as_bytes());
        read.map(|drawing| (drawing.width, drawing.height)).ok()
    };
    assert_eq!(sides("width=\"24\" height=\"24\""), Some((1000, 1000)));
    assert_eq!(sides("viewBox=\"0 0 1e7 5e6\""), Some((16_384, 8192)));
    assert_eq!(sides("viewBox=\"0 0 1e9 1\""), None);
    assert_eq!(
        sides("width=\"1e30\" height=\"1e30\" viewBox=\"0 0 9 9\""),
        Some((16_384, 16_384))
    );
    assert_eq!(sides("width=\"-4\" height=\"4\""), None);
}

#[test]
fn the_deepest_drawing_fits_on_a_small_stack() {
    // Where libraries of pictures run: threads of 2 MiB.
    let deep = "<g opacity=\"0.9\" id=\"x\">";
    let depth = 7;
    let groups = 30;
    let svg = format!(
        "{HEAD}{}{}<rect width=\"40\" height=\"20\"/><rect width=\"4\" height=\"2\"/>{}{}</svg>",
        deep.replace(" id=\"x\"", "").repeat(depth),
        "<g transform=\"scale(0.99)\">".repeat(groups),
        "</g>".repeat(groups),
        "</g>".repeat(depth)
    );
    let work = move || {
        let drawing = Drawing::read(svg.as_bytes()).unwrap();
        drawing
            .draw(64, 32)
            .unwrap()
            .rgba
            .iter()
            .any(|value| *value > 0)
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(work);
    assert!(thread.unwrap().join().unwrap());
}
