"""Run by gcloud's own Python: decodes documents as gcloud does, and prints fields it does not know.

    documents.py ROOT <[["monitoring.v3", "AlertPolicy", "FILE"], …]
"""

import importlib
import json
import sys

root = sys.argv[1]
sys.path[:0] = [root + "/lib", root + "/lib/third_party"]

from apitools.base.py import encoding


def unknown(message, path):
    found = [f"{path}.{name}" for name in message.all_unrecognized_fields()]
    for field in message.all_fields():
        value = getattr(message, field.name, None)
        for item in value if isinstance(value, list) else [value]:
            if hasattr(item, "all_unrecognized_fields"):
                found += unknown(item, f"{path}.{field.name}")
    return found


found = []
for api, kind, file in json.load(sys.stdin):
    name, version = api.split(".")
    module = importlib.import_module(
        f"googlecloudsdk.generated_clients.apis.{name}.{version}.{name}_{version}_messages"
    )
    with open(file, encoding="utf-8") as text:
        value = json.load(text)
    for generated in ("apiVersion",):
        value.get(generated)
    found += unknown(encoding.DictToMessage(value, getattr(module, kind)), file)
print(json.dumps(found))
