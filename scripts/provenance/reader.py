"""Reads the C2PA manifest of files with the reference implementation.

    reader.py ROOT.pem FILE...

Prints a line of JSON for each file: {"state": "Trusted", ...}; a file that it cannot read at all is
{"state": "Unreadable", ...}, one without a manifest {"state": "None"}.
"""

import json
import sys

import c2pa


def read(path, context):
    try:
        reader = c2pa.Reader(path, context=context)
    except c2pa.C2paError as error:
        state = "None" if "ManifestNotFound" in type(error).__name__ + str(error) else "Unreadable"
        return {"state": state, "why": str(error)}
    told = json.loads(reader.json())
    active = told["manifests"][told["active_manifest"]]
    actions = [
        action
        for assertion in active["assertions"]
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    results = told.get("validation_results", {}).get("activeManifest", {})
    return {
        "state": told["validation_state"],
        "failures": [failure["code"] for failure in results.get("failure", [])],
        "successes": [success["code"] for success in results.get("success", [])],
        "generator": active["claim_generator_info"][0]["name"],
        "actions": [action["action"] for action in actions],
        "descriptions": [action.get("description") for action in actions],
        "agents": [action.get("softwareAgent") for action in actions],
        "source_types": [action.get("digitalSourceType") for action in actions],
        "ingredients": [ingredient["relationship"] for ingredient in active.get("ingredients", [])],
    }


def main(root, *paths):
    with open(root, encoding="ascii") as file:
        anchors = file.read()
    settings = c2pa.Settings.from_dict(
        {
            "trust": {"user_anchors": anchors},
            "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        }
    )
    context = c2pa.Context(settings)
    for path in paths:
        print(json.dumps(read(path, context)))


if __name__ == "__main__":
    main(*sys.argv[1:])
