//! What a creation asks for, read strictly: a misspelt field would otherwise be paid for and
//! silently left out. Every fault is told at once.

use std::time::Duration;

use serde_json::Value;
use strum::IntoEnumIterator;

use super::fields::{Object, Reader, get, path};
use super::shape;
use crate::http::caller::Caller;
use crate::http::{HttpState, LOCAL_OWNER};
use crate::job::kinds;
use crate::job::{Fault, Kind, Notify, Output, Owner, Params, Source, WatermarkSpec};
use crate::outgoing;

/// A job as asked for, checked.
#[derive(Debug)]
pub(in crate::http) struct Wanted {
    pub(in crate::http) owner: Owner,
    pub(in crate::http) params: Params,
    pub(in crate::http) source: Source,
    pub(in crate::http) output: Output,
    pub(in crate::http) notify: Notify,
    pub(in crate::http) deadline: Option<Duration>,
    pub(in crate::http) max_price: Option<f64>,
    pub(in crate::http) tags: Vec<String>,
}

/// A job shorter than this could not even be polled; one longer than a day outlives its uploads
/// at the provider.
pub(super) const DEADLINE_S: std::ops::RangeInclusive<u64> = 10..=86_400;

/// US dollars: no video costs as much.
pub(super) const MOST_PRICE: f64 = 10_000.0;

/// A day: no video is longer.
pub(super) const MOST_MILLIS: u64 = 86_400_000;
/// More layers than anybody may have, and fewer than would fill an answer with faults.
const MOST_LAYERS_READ: usize = 32;

/// The names of an enumeration, for a message.
pub(super) fn one_of<T: IntoEnumIterator + Into<&'static str>>() -> String {
    let names: Vec<&'static str> = T::iter().map(Into::into).collect();
    format!("must be one of {}", names.join(", "))
}

/// Reads a creation's body.
pub(in crate::http) fn read(
    body: &Value,
    caller: &Caller,
    state: &HttpState,
) -> Result<Wanted, Vec<Fault>> {
    let mut reader = Reader::default();
    let known = [
        "owner",
        "kind",
        "params",
        "source",
        "output",
        "notify",
        "deadline_s",
        "max_price",
        "tags",
    ];
    let Some(body) = reader.object(Some(body), "", &known) else {
        return Err(vec![Fault::new("body", "must be an object")]);
    };
    let owner = owner(&mut reader, body, caller);
    // Faults that depend on whose job it is are looked for even when that is not known.
    let assumed = owner.clone().or_else(|| LOCAL_OWNER.parse().ok());
    let params = params(&mut reader, body);
    let source = assumed
        .as_ref()
        .and_then(|owner| source(&mut reader, body, owner, state));
    let output = assumed
        .as_ref()
        .map(|owner| output(&mut reader, body, owner, state));
    let notify = notify(&mut reader, body, state);
    let deadline = deadline(&mut reader, body);
    let max_price = max_price(&mut reader, body);
    let tags = tags(&mut reader, body);
    match (owner, params, source, output) {
        (Some(owner), Some(params), Some(source), Some(output)) if reader.faults.is_empty() => {
            Ok(Wanted {
                owner,
                params,
                source,
                output,
                notify,
                deadline,
                max_price,
                tags,
            })
        }
        _ => Err(reader.faults),
    }
}

fn owner(reader: &mut Reader, body: &Object, caller: &Caller) -> Option<Owner> {
    let before = reader.faults.len();
    let named = reader.parsed(body, "", "owner");
    if reader.faults.len() > before {
        return None;
    }
    match caller.owner_for(named) {
        Ok(owner) => Some(owner),
        Err(message) => {
            reader.fault("owner".into(), message);
            None
        }
    }
}

fn kind(body: &Object) -> Option<Kind> {
    get(body, "kind")?.as_str()?.parse().ok()
}

fn params(reader: &mut Reader, body: &Object) -> Option<Params> {
    let Some(kind) = kind(body) else {
        let message = match get(body, "kind") {
            None => format!("is required and {}", one_of::<Kind>()),
            Some(_) => one_of::<Kind>(),
        };
        reader.fault("kind".into(), message);
        return None;
    };
    let value = body.get("params").unwrap_or(&Value::Null);
    match Params::parse(kind, value) {
        Ok(params) => Some(params),
        Err(faults) => {
            reader.faults.extend(faults);
            None
        }
    }
}

fn source(reader: &mut Reader, body: &Object, owner: &Owner, state: &HttpState) -> Option<Source> {
    let Some(given) = get(body, "source") else {
        reader.fault("source".into(), "is required");
        return None;
    };
    let object = reader.object(Some(given), "source", &["video", "image", "audio_track"])?;
    if get(object, "video").is_none() {
        reader.fault("source.video".into(), "is required");
    }
    let has_image = get(object, "image").is_some();
    match kind(body) {
        Some(Kind::CharacterReplace) if !has_image => {
            reader.fault("source.image".into(), "is required");
        }
        Some(kind @ (Kind::Extend | Kind::Upscale)) if has_image => {
            let message = format!("is not used by {}", kind.as_str());
            reader.fault("source.image".into(), message);
        }
        _ => {}
    }
    let image = reader.input(object, "source", "image", owner, state);
    let audio_track = reader.text(object, "source", "audio_track");
    if audio_track.is_some_and(|track| !shape::fits_audio_track(track)) {
        let message = "must be the number of a track of sound, from 1, or a language such as deu";
        reader.fault("source.audio_track".into(), message);
    }
    let audio_track = audio_track.map(str::to_owned);
    let video = reader.input(object, "source", "video", owner, state)?;
    Some(Source {
        video,
        image,
        audio_track,
    })
}

fn output(reader: &mut Reader, body: &Object, owner: &Owner, state: &HttpState) -> Output {
    let mut output = Output::default();
    let Some(object) = reader.object(get(body, "output"), "output", &["profile", "watermark"])
    else {
        return output;
    };
    if let Some(profile) = reader.text(object, "output", "profile") {
        let profiles = &state.settings.profiles;
        if profiles.iter().any(|known| known == profile) {
            profile.clone_into(&mut output.profile);
        } else {
            let message = format!("must be one of {}", profiles.join(", "));
            reader.fault("output.profile".into(), message);
        }
    }
    if let Some(given) = get(object, "watermark") {
        output.watermark = watermark(reader, given, owner, state);
    }
    output
}

/// One layer, or a list of them.
fn watermark(
    reader: &mut Reader,
    given: &Value,
    owner: &Owner,
    state: &HttpState,
) -> Vec<WatermarkSpec> {
    let at = "output.watermark";
    let mut layers = Vec::new();
    match given {
        Value::Array(given) if given.is_empty() => {
            reader.fault(at.to_owned(), "must have at least one layer");
        }
        // How many there may be is said below; no more is read than would be told.
        Value::Array(given) => {
            let several = given.len() > 1;
            for (index, layer) in given.iter().enumerate().take(MOST_LAYERS_READ) {
                let at = if several {
                    format!("{at}[{index}]")
                } else {
                    at.to_owned()
                };
                layers.extend(watermark_layer(reader, layer, &at, owner, state));
            }
        }
        one => layers.extend(watermark_layer(reader, one, at, owner, state)),
    }
    for fault in (state.check_watermark)(&layers) {
        reader.fault(format!("{at}{}", fault.field), fault.message);
    }
    layers
}

fn watermark_layer(
    reader: &mut Reader,
    given: &Value,
    at: &str,
    owner: &Owner,
    state: &HttpState,
) -> Option<WatermarkSpec> {
    let known = [
        "image",
        "anchor",
        "scale",
        "offset_x",
        "offset_y",
        "opacity",
        "from_ms",
        "until_ms",
        "fade_in_ms",
        "fade_out_ms",
    ];
    let object = reader.object(Some(given), at, &known)?;
    Some(WatermarkSpec {
        image: reader.input(object, at, "image", owner, state),
        anchor: reader.text(object, at, "anchor").map(str::to_owned),
        scale: length(reader, object, at, "scale", shape::fits_scale),
        offset_x: length(reader, object, at, "offset_x", shape::fits_offset),
        offset_y: length(reader, object, at, "offset_y", shape::fits_offset),
        opacity: opacity(reader, object, at),
        from_ms: millis(reader, object, at, "from_ms"),
        until_ms: millis(reader, object, at, "until_ms"),
        fade_in_ms: millis(reader, object, at, "fade_in_ms"),
        fade_out_ms: millis(reader, object, at, "fade_out_ms"),
    })
}

fn length(
    reader: &mut Reader,
    object: &Object,
    at: &str,
    name: &str,
    fits: fn(&str) -> bool,
) -> Option<String> {
    let length = reader.text(object, at, name)?;
    if !fits(length) {
        let message = "must be a length like 15%, 24px or 24, up to 999.999% or 9999.999px";
        reader.fault(path(at, name), message);
        return None;
    }
    Some(length.to_owned())
}

fn millis(reader: &mut Reader, object: &Object, at: &str, name: &str) -> Option<u64> {
    let value = get(object, name)?;
    let number = kinds::whole(value)
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| *number <= MOST_MILLIS);
    if number.is_none() {
        let message = format!("must be a whole number from 0 to {MOST_MILLIS}");
        reader.fault(path(at, name), message);
    }
    number
}

fn opacity(reader: &mut Reader, object: &Object, at: &str) -> Option<f32> {
    let value = get(object, "opacity")?;
    let number = value
        .as_f64()
        .filter(|number| (0.0..=1.0).contains(number))
        .map(|number| number as f32);
    if number.is_none() {
        reader.fault(path(at, "opacity"), "must be a number from 0 to 1");
    }
    number
}

fn notify(reader: &mut Reader, body: &Object, state: &HttpState) -> Notify {
    let mut notify = Notify::default();
    let Some(object) = reader.object(get(body, "notify"), "notify", &["webhook", "fcm_token"])
    else {
        return notify;
    };
    notify.webhook = webhook(reader, object, state);
    if let Some(token) = get(object, "fcm_token") {
        // FCM's own tokens have some 160 characters; how many there may be it does not say.
        match token.as_str() {
            Some(token)
                if token.len() <= shape::MAX_FCM_TOKEN_CHARS && shape::fits_fcm_token(token) =>
            {
                notify.fcm_token = Some(token.to_owned());
            }
            _ => reader.fault(
                "notify.fcm_token".into(),
                "must be a device's registration token of at most 4096 characters",
            ),
        }
    }
    if notify.webhook.is_some() && notify.fcm_token.is_some() {
        reader.fault("notify".into(), "names one way, webhook or fcm_token");
    }
    notify
}

fn webhook(reader: &mut Reader, object: &Object, state: &HttpState) -> Option<url::Url> {
    let text = reader.text(object, "notify", "webhook")?;
    let webhook = reader.parsed::<url::Url>(object, "notify", "webhook")?;
    let fault = if text.chars().count() > shape::MAX_ADDRESS_CHARS {
        format!(
            "an address is at most {} characters long",
            shape::MAX_ADDRESS_CHARS
        )
    } else if let Err(refused) = outgoing::check_url(&webhook, state.settings.allow_loopback) {
        refused.to_string()
    } else if !shape::fits_address(text) {
        "must be an address without spaces and backslashes".to_owned()
    } else {
        return Some(webhook);
    };
    reader.fault("notify.webhook".into(), fault);
    None
}

fn deadline(reader: &mut Reader, body: &Object) -> Option<Duration> {
    let value = get(body, "deadline_s")?;
    let seconds = kinds::whole(value)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| DEADLINE_S.contains(seconds));
    if seconds.is_none() {
        let message = format!(
            "must be a whole number from {} to {}",
            DEADLINE_S.start(),
            DEADLINE_S.end()
        );
        reader.fault("deadline_s".into(), message);
    }
    seconds.map(Duration::from_secs)
}

fn tags(reader: &mut Reader, body: &Object) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    let Some(given) = get(body, "tags") else {
        return tags;
    };
    let given = given
        .as_array()
        .filter(|given| given.len() <= shape::MAX_TAGS);
    let Some(given) = given else {
        let message = format!("must be a list of at most {} tags", shape::MAX_TAGS);
        reader.fault("tags".into(), message);
        return tags;
    };
    for (index, tag) in given.iter().enumerate() {
        match tag.as_str().filter(|tag| shape::fits_tag(tag)) {
            Some(tag) if tags.iter().any(|known| known == tag) => {
                reader.fault(format!("tags[{index}]"), "stands there twice");
            }
            Some(tag) => tags.push(tag.to_owned()),
            None => reader.fault(format!("tags[{index}]"), shape::TAG),
        }
    }
    tags
}

fn max_price(reader: &mut Reader, body: &Object) -> Option<f64> {
    let value = get(body, "max_price")?;
    let price = value
        .as_f64()
        .filter(|price| (0.0..=MOST_PRICE).contains(price));
    if price.is_none() {
        let message = format!("must be a number of US dollars from 0 to {MOST_PRICE}");
        reader.fault("max_price".into(), message);
    }
    price
}

/// What another round is asked for with: its deadline.
pub(super) fn read_retry(body: &Value) -> Result<Option<Duration>, Vec<Fault>> {
    let mut reader = Reader::default();
    let deadline = reader
        .options(body, &["deadline_s"])
        .and_then(|body| deadline(&mut reader, body));
    reader.done(deadline)
}

/// What links are asked for with: how long they open, at most `longest`.
pub(super) fn read_links(body: &Value, longest: Duration) -> Result<Option<Duration>, Vec<Fault>> {
    let mut reader = Reader::default();
    let ttl = reader.options(body, &["ttl_s"]).and_then(|body| {
        let value = get(body, "ttl_s")?;
        let most = longest.as_secs();
        let ttl = kinds::whole(value)
            .and_then(|ttl| u64::try_from(ttl).ok())
            .filter(|ttl| (1..=most).contains(ttl));
        if ttl.is_none() {
            let message = format!("must be a whole number from 1 to {most}");
            reader.fault("ttl_s".into(), message);
        }
        ttl.map(Duration::from_secs)
    });
    reader.done(ttl)
}

/// What a notice is asked for with: its round.
pub(super) fn read_replay(body: &Value) -> Result<Option<u32>, Vec<Fault>> {
    let mut reader = Reader::default();
    let round = reader.options(body, &["round"]).and_then(|body| {
        let value = get(body, "round")?;
        let round = kinds::whole(value).and_then(|round| u32::try_from(round).ok());
        if round.is_none_or(|round| round == 0) {
            reader.fault("round".into(), "must be a whole number from 1");
        }
        round
    });
    reader.done(round)
}
