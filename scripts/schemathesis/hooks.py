"""What a schema cannot say about a job, put right in the bodies that schemathesis makes.

An address has to lead to the public internet and an upload has to be the owner's own. Both are
replaced by ones that fit, where they have the right form; what has the wrong form stays wrong.
No fuzzed address is ever called: names below .invalid resolve nowhere (RFC 6761).
"""

import copy
import re

import schemathesis

ADDRESS = re.compile(r"[Hh][Tt][Tt][Pp][Ss]://[^\x00-\x20\x7f\\/?#@]+([/?#][^\x00-\x20\x7f\\]*)?\Z")
UPLOAD = re.compile(r"(?:gs://[a-z0-9][a-z0-9._-]*/)?sources/[A-Za-z0-9_-]{1,128}/[^\x00-\x1f]+\Z")
OWNER = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
MOST_CHARS = 2048
PIXELS = r"[1-9][0-9]{0,3}(?:\.[0-9]{1,3})?(?:px)?"
SCALE = re.compile(rf"(?:(?:[1-9][0-9]{{0,2}}(?:\.[0-9]{{1,3}})?|0\.[0-9]{{0,2}}[1-9])%|{PIXELS})\Z")
SIZE = re.compile(rf"(?:(?:100|[1-9][0-9]?(?:\.[0-9]{{1,3}})?|0\.[0-9]{{0,2}}[1-9])%|{PIXELS})\Z")
COLOR = re.compile(r"#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})\Z")
PAINT = re.compile(rf"none\Z|{COLOR.pattern}")
MOST_LETTERS = 200
MOST_LABEL = 40


def fit(text, owner):
    if not isinstance(text, str) or len(text) > MOST_CHARS:
        return text
    if ADDRESS.match(text):
        return "https://media.invalid/file"
    parts = text.split("/")
    if UPLOAD.match(text) and not any(part in ("", ".", "..") for part in parts[3:]):
        return f"sources/{owner}/file"
    return text


def is_whole(value):
    """2.0 is a whole number to a schema, and to the service; `true` is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1


def is_words(value, most):
    return isinstance(value, str) and 1 <= len(value) <= most


def drop(layer, name, form):
    """Takes out what has the right form; what has the wrong one stays wrong."""
    value = layer.get(name)
    if isinstance(value, str) and form.match(value):
        layer.pop(name)


def fit_text(layer, owner):
    """Some fields go with text, some with pictures; letters and families are those of the fonts."""
    text = layer.get("text")
    if is_words(text, MOST_LETTERS):
        layer["text"] = "@alice"
    if is_words(layer.get("font"), MOST_LETTERS):
        layer.pop("font")
    if isinstance(text, str):
        drop(layer, "scale", SCALE)
        if layer.get("image") in ("https://media.invalid/file", f"sources/{owner}/file"):
            layer.pop("image")
    else:
        drop(layer, "size", SIZE)
        drop(layer, "color", COLOR)
        drop(layer, "stroke", PAINT)
        drop(layer, "background", PAINT)


def fit_layer(layer, owner):
    if not isinstance(layer, dict):
        return
    if "image" in layer:
        layer["image"] = fit(layer["image"], owner)
    fit_text(layer, owner)
    # Whether a time holds its fades is arithmetic.
    until = layer.get("until_ms")
    if is_whole(until) and 1 <= until <= 86_400_000:
        layer.pop("until_ms")


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if not isinstance(body, dict) or "source" not in body:
        return
    body = case.body = copy.deepcopy(body)
    owner = body.get("owner")
    owner = owner if isinstance(owner, str) and OWNER.match(owner) else "local"
    source = body["source"]
    if isinstance(source, dict):
        for name in ("video", "image"):
            if name in source:
                source[name] = fit(source[name], owner)
    if is_words(body.get("label"), MOST_LABEL):
        body["label"] = "on"
    notify = body.get("notify")
    if isinstance(notify, dict) and "webhook" in notify:
        notify["webhook"] = fit(notify["webhook"], owner)
    output = body.get("output")
    if isinstance(output, dict):
        mark = output.get("watermark")
        for layer in mark if isinstance(mark, list) else [mark]:
            fit_layer(layer, owner)
