"""What runs the pages finds a wrong setting, flag and sample; a stand-in takes the part of filmlab."""

import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.dirname(HERE)
sys.path.insert(0, DOCS)
import examples
import pages as markdown

STAND_IN = """#!/bin/sh
case "$*" in
    "--help") printf 'Commands:\\n  jobs   x\\n  probe  x\\n\\nOptions:\\n  --config <FILE>\\n' ;;
    "jobs --help") printf 'Commands:\\n  list  x\\n\\nOptions:\\n  --json\\n' ;;
    "jobs list --help") printf 'Options:\\n  --limit <NUMBER>\\n  -h, --help\\n' ;;
    "probe --help") printf 'Options:\\n  --json\\n' ;;
    *doctor) sed -n 's/^\\(no_[a-z]*\\) = .*/filmlab: worker.\\1: is not a setting/p' "$2" >&2; exit 64 ;;
    *) exit 2 ;;
esac
"""


class Examples(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.binary = os.path.join(self.folder, "filmlab")
        with open(self.binary, "w", encoding="utf-8") as file:
            file.write(STAND_IN)
        os.chmod(self.binary, 0o755)

    def pages(self, text):
        with open(os.path.join(self.folder, "a.md"), "w", encoding="utf-8") as file:
            file.write(text)
        return [markdown.Page(self.folder, "a.md")]

    def test_a_setting_that_is_none(self):
        pages = self.pages("`worker.lease` and `worker.no_such`, `worker.rs`, `worker.NAME`\n")
        found = list(examples.wrong_settings(self.binary, pages))
        self.assertEqual(["a.md:1: worker.no_such is not a setting"], found)

    def test_a_block_of_toml_with_a_setting_that_is_none(self):
        pages = self.pages("\n```toml\n[worker]\nlease = 1\nno_such = 2\n```\n")
        found = list(examples.wrong_toml(self.binary, pages))
        self.assertEqual(["a.md:2: worker.no_such is not a setting"], found)

    def test_flags_and_commands(self):
        def fault(text):
            return list(examples.wrong_commands(self.binary, self.pages(text)))

        right = "`filmlab probe FILE --json`, `filmlab jobs list --limit 3`, `filmlab jobs --json list`, " \
            "`filmlab --config a.toml probe x`\n"
        self.assertEqual([], fault(right))
        self.assertIn("no flag --limits", fault("`filmlab jobs list --limits 3`\n")[0])
        self.assertIn("no command lists", fault("`filmlab jobs lists`\n")[0])
        block = "\n```sh\nA=b ./target/filmlab probe a.mp4 \\\n    --jsn  # --json\n```\n"
        self.assertIn("no flag --jsn", fault(block)[0])
        # Another program's argument.
        self.assertEqual([], fault("\n```sh\ngcloud run filmlab --region=x\n```\n"))

    def test_samples(self):
        def unlike(shown, real):
            return list(examples.unlike(shown, real))

        self.assertEqual([], unlike({"a": [{"b": 1}], "c": None}, {"a": [{"b": 2.5}], "c": None}))
        self.assertEqual([".a is not sent"], unlike({"a": 1}, {}))
        self.assertEqual([".a is sent and not shown"], unlike({}, {"a": 1}))
        self.assertEqual([".a[].b: '1' is shown, 1 was sent"],
                         unlike({"a": [{"b": "1"}]}, {"a": [{"b": 1}]}))
        self.assertEqual([".a: None is shown, 1 was sent"], unlike({"a": None}, {"a": 1}))
        self.assertEqual([".a: True is shown, 1 was sent"], unlike({"a": True}, {"a": 1}))

    def test_events(self):
        text = 'id: 1\ndata: {"a":\ndata: 1}\nretry: 5\n\n: a comment\n\nid: 2\ndata: {}\n\n'
        ids = [event["id"] for event in examples.events_of(text)]
        self.assertEqual(["1", "2"], ids)


if __name__ == "__main__":
    unittest.main()
