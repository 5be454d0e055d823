"""Checks the C2PA manifest of an MP4 without any code of C2PA's.

    manifest.py ROOT.pem FILE...

Reads the boxes, the JUMBF and the CBOR, and checks: each assertion's digest, the claim's COSE
signature (ES256), the chain of certificates up to ROOT and their times, the digest of the head and
that of each leaf of the media. Prints a line of JSON for each file: {"valid": true, ...} or
{"valid": false, "why": ...}. Needs cbor2 and cryptography.
"""

import hashlib
import json
import struct
import sys

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


class Wrong(Exception):
    pass


def boxes(data, begin=0, end=None):
    end = len(data) if end is None else end
    at = begin
    while at < end:
        if at + 8 > end:
            raise Wrong("a box without a head")
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if size == 0:
            size = end - at
        if size < head or at + size > end:
            raise Wrong(f"a box of {size} bytes at {at}")
        yield kind, at, head, size
        at += size


class Superbox:
    """A `jumb` box: its label, what its digest is over, what is in it."""

    def __init__(self, data, at, size):
        self.inside = data[at + 8 : at + size]
        parts = list(boxes(data, at + 8, at + size))
        kind, begin, head, length = parts[0]
        if kind != b"jumd":
            raise Wrong("a superbox without a description")
        description = data[begin + head : begin + length]
        self.kind = description[:4]
        self.label = description[17 : description.index(b"\0", 17)].decode()
        self.children = []
        self.content = None
        for kind, begin, head, length in parts[1:]:
            if kind == b"jumb":
                self.children.append(Superbox(data, begin, length))
            elif kind == b"cbor":
                self.content = data[begin + head : begin + length]

    def child(self, label):
        found = [child for child in self.children if child.label == label]
        if len(found) != 1:
            raise Wrong(f"{len(found)} boxes {label}")
        return found[0]


def manifest_of(data):
    found = [
        (at, size)
        for kind, at, _, size in boxes(data)
        if kind == b"uuid" and data[at + 8 : at + 24] == UUID
    ]
    if len(found) != 1:
        raise Wrong(f"{len(found)} manifests")
    at, size = found[0]
    purpose = data[at + 28 : at + 37]
    if purpose != b"manifest\0":
        raise Wrong("no manifest in its box")
    begin = at + 37 + 8
    kind, begin, _, length = next(boxes(data, begin, at + size))
    if kind != b"jumb":
        raise Wrong("no JUMBF")
    store = Superbox(data, begin, length)
    return at, store.children[-1]


def check_chain(chain, root):
    certificates = [x509.load_der_x509_certificate(der) for der in chain]
    for lower, upper in zip(certificates, certificates[1:]):
        lower.verify_directly_issued_by(upper)
    if certificates[-1] != root:
        certificates[-1].verify_directly_issued_by(root)
    usage = certificates[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if x509.ExtendedKeyUsageOID.EMAIL_PROTECTION not in usage:
        raise Wrong("the certificate is not for this")
    return certificates


def check_signature(manifest, root):
    claim = manifest.child("c2pa.claim.v2").content
    tagged = cbor2.loads(manifest.child("c2pa.signature").content)
    if tagged.tag != 18:
        raise Wrong("no COSE_Sign1")
    protected, loose, payload, signature = tagged.value
    if payload is not None:
        raise Wrong("the claim stands twice")
    header = cbor2.loads(protected)
    if header[1] != -7:
        raise Wrong("not ES256")
    certificates = check_chain(header[33], root)
    signed = cbor2.dumps(["Signature1", protected, b"", claim])
    numbers = [int.from_bytes(half, "big") for half in (signature[:32], signature[32:])]
    key = certificates[0].public_key()
    key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA256()))
    stamp = None
    if "sigTst2" in loose:
        # Whether the authority signed it is for others to say: here is what it has to be about.
        (token,) = loose["sigTst2"]["tstTokens"]
        stamped = ["CounterSignature", protected, b"", cbor2.dumps(signature)]
        digest = hashlib.sha256(cbor2.dumps(stamped)).digest()
        stamp = {"token": token["val"].hex(), "digest": digest.hex()}
    return cbor2.loads(claim), certificates, stamp


def check_assertions(manifest, claim):
    store = manifest.child("c2pa.assertions")
    found = {}
    for link in claim["created_assertions"]:
        label = link["url"].rsplit("/", 1)[1]
        assertion = store.child(label)
        if hashlib.sha256(assertion.inside).digest() != link["hash"]:
            raise Wrong(f"{label} is not what was signed")
        found[label] = cbor2.loads(assertion.content)
    if len(found) != len(store.children):
        raise Wrong("there are assertions that nobody signed")
    return found


def check_binding(data, at, binding):
    excluded = {entry["xpath"][1:].encode() for entry in binding["exclusions"]} - {b"uuid"}
    head = hashlib.sha256()
    (tree,) = binding["merkle"]
    for kind, begin, _, size in boxes(data):
        if kind == b"mdat":
            head.update(struct.pack(">Q", begin) + data[begin : begin + 16])
            place, end = begin + 16, begin + size
            leaves = list(zip(tree["variableBlockSizes"], tree["hashes"], strict=True))
            if len(leaves) != tree["count"]:
                raise Wrong("another number of leaves")
            for number, (length, leaf) in enumerate(leaves):
                if hashlib.sha256(data[place : place + length]).digest() != leaf:
                    raise Wrong(f"leaf {number} of the media is another")
                place += length
            if place != end:
                raise Wrong("the leaves are not all of the media")
        elif begin != at and kind not in excluded:
            head.update(struct.pack(">Q", begin) + data[begin : begin + size])
    if head.digest() != binding["hash"]:
        raise Wrong("what is not media is another")


def check(path, root):
    with open(path, "rb") as file:
        data = file.read()
    at, manifest = manifest_of(data)
    claim, certificates, stamp = check_signature(manifest, root)
    assertions = check_assertions(manifest, claim)
    check_binding(data, at, assertions["c2pa.hash.bmff.v3"])
    return {
        "valid": True,
        "label": manifest.label,
        "id": claim["instanceID"],
        "generator": claim["claim_generator_info"],
        "stamp": stamp,
        "signer": certificates[0].subject.rfc4514_string(),
        "actions": [
            {key: action[key] for key in ("action", "digitalSourceType", "softwareAgent") if key in action}
            for action in assertions["c2pa.actions.v2"]["actions"]
        ],
        "ingredients": [
            value["relationship"]
            for label, value in assertions.items()
            if label.startswith("c2pa.ingredient")
        ],
    }


def main(root, *paths):
    with open(root, "rb") as file:
        root = x509.load_pem_x509_certificate(file.read())
    for path in paths:
        try:
            found = check(path, root)
        except Exception as error:  # Whatever is wrong with it, it is not valid.
            found = {"valid": False, "why": f"{type(error).__name__}: {error}"}
        print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
