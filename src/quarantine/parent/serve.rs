//! Serves a child: gives it its order, answers what it asks, takes what it makes.

use std::io;
use std::process::{ChildStdin, ChildStdout};

use super::files::{Files, Response};
use super::gone::Gone;
use crate::media::Event;
use crate::quarantine::protocol::{self, Frame, Kind, Order, Outcome, violation};

/// Gives the child its order once it is up, and serves it to the end.
pub(super) fn serve(
    mut to: ChildStdin,
    mut from: ChildStdout,
    order: &Order,
    files: &mut Files,
    on_event: &mut dyn FnMut(Event),
) -> Result<Outcome, Gone> {
    let hello = protocol::read(&mut from).map_err(Gone::Early)?;
    if hello.kind != Kind::Hello {
        return Err(Gone::Early(violation("something else than a child")));
    }
    protocol::write_json(&mut to, Kind::Order, order).map_err(Gone::Later)?;
    loop {
        let frame = protocol::read(&mut from).map_err(Gone::Later)?;
        if frame.kind == Kind::Done {
            return frame.json().map_err(Gone::Later);
        }
        let response = respond(&frame, files, on_event).map_err(Gone::Later)?;
        match response {
            Response::Reply(reply) => protocol::write_json(&mut to, Kind::Reply, &reply),
            Response::Data(data) => protocol::write(&mut to, Kind::Data, &[&data]),
            Response::Nothing => Ok(()),
        }
        .map_err(Gone::Later)?;
    }
}

fn respond(
    frame: &Frame,
    files: &mut Files,
    on_event: &mut dyn FnMut(Event),
) -> io::Result<Response> {
    match frame.kind {
        Kind::Request => files.answer(frame.json()?),
        Kind::Write => files.write(&frame.body),
        Kind::Sign | Kind::Stamp => files.sign(frame.kind, &frame.body),
        Kind::Event => {
            on_event(frame.json()?);
            Ok(Response::Nothing)
        }
        Kind::Poster | Kind::Storyboard => {
            files.take_picture(frame.kind, &frame.body)?;
            Ok(Response::Nothing)
        }
        _ => Err(violation("a frame out of turn")),
    }
}
