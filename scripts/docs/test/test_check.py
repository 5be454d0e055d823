"""The checks of the pages find what is wrong, and nothing else."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.dirname(HERE)
ROOT = os.path.dirname(os.path.dirname(DOCS))
sys.path.insert(0, DOCS)
import check
import pages as markdown

ENTRY = "# Entry\n\n[One](one.md), [there](../README.md#what-it-is)\n"
README = """# It

## What it is

See [`one`](docs/one.md#a-heading-with-code-and-marks), [two][2], `src/lib.rs` and `make it`.

[2]: docs/one.md#same-1

<!-- run -->
```sh
echo "$(date)"   # [no link](nowhere.md)
```

```json
"a": 1
```
"""
ONE = "# One\n\n## A heading, with `code` and *marks*!\n\n## Same\n\n## Same\n\n[up](#one)\n"


class Repository:
    """A folder with what the checks look at."""

    def __init__(self, folder, **changed):
        files = {"README.md": README, "docs/README.md": ENTRY, "docs/one.md": ONE,
                 "Makefile": "it: ## does it\n", "src/lib.rs": ""}
        files.update(changed)
        for name, text in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        self.folder = folder

    def faults(self):
        return list(check.faults(self.folder))


class Checks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def faults(self, **changed):
        return Repository(self.folder, **changed).faults()

    def one_fault(self, told, **changed):
        found = self.faults(**changed)
        self.assertEqual(1, len(found), found)
        self.assertIn(told, found[0])

    def test_what_is_right_has_no_fault(self):
        self.assertEqual([], self.faults())

    def readme(self, text):
        return {"README.md": README + text}

    def test_a_file_that_is_not_there(self):
        self.one_fault("docs/tow.md: there is no such file", **self.readme("\n[x](docs/tow.md)\n"))

    def test_a_heading_that_is_not_there(self):
        self.one_fault("docs/one.md has no such heading", **self.readme("\n[x](docs/one.md#no)\n"))

    def test_a_heading_of_the_page_itself(self):
        self.one_fault("README.md has no such heading", **self.readme("\n[x](#no)\n"))

    def test_a_link_by_reference_and_a_picture(self):
        text = "\n[x][3] ![a picture](docs/a.png)\n\n[3]: docs/gone.md\n"
        found = self.faults(**self.readme(text))
        self.assertEqual(2, len(found), found)

    def test_a_link_out_of_the_repository(self):
        self.one_fault("leads out", **self.readme("\n[x](../other/README.md)\n"))

    def test_an_address_is_left_alone(self):
        self.assertEqual([], self.faults(**self.readme("\n[x](https://example.com/no)\n")))

    def test_a_page_to_which_nothing_leads(self):
        self.one_fault("no link to two.md", **{"docs/two.md": "# Two\n"})

    def test_a_file_of_the_sources(self):
        self.one_fault("there is no src/b.rs", **self.readme("\nIn `src/{lib,b}.rs`.\n"))

    def test_a_target_of_make(self):
        self.one_fault("no target that", **self.readme("\nRun `make that`.\n"))

    def test_a_block_that_does_not_parse(self):
        self.one_fault("the sh block", **self.readme("\n```sh\nif true; then\n```\n"))
        self.one_fault("the json block", **self.readme('\n```json\n{"a": }\n```\n'))
        self.one_fault("the python block", **self.readme("\n```python\ndef f(:\n```\n"))

    def test_a_block_that_nobody_runs_is_told(self):
        Repository(self.folder, **self.readme("\n```sh\ntrue\n```\n"))
        ran = subprocess.run([sys.executable, "-B", os.path.join(DOCS, "check.py"), self.folder],
                             capture_output=True, text=True, check=False)
        self.assertEqual(0, ran.returncode, ran.stdout)
        self.assertIn("not run: README.md:", ran.stdout)
        self.assertEqual(1, ran.stdout.count("not run: "))

    def test_the_tables_are_read_for_settings(self):
        names = check.settings_listed(ROOT)
        self.assertGreater(len(names), 120)
        self.assertTrue({"worker.lease", "provider.breaker.rest", "limits.max_bytes"} <= names)
        self.assertNotIn("video.crf", names)

    def test_anchors_are_those_of_github(self):
        for heading, name in [("With `code` & more", "with-code--more"), ("A_b *c*", "a_b-c"),
                              ("`jobs/{job}`", "jobsjob"), ("[One](x.md): two", "one-two")]:
            self.assertEqual(name, markdown.anchor(heading))


@unittest.skipUnless(shutil.which("codespell"), "there is no codespell")
class Spelling(unittest.TestCase):
    def test_a_misspelt_word_is_found_and_the_projects_own_are_not(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.md")
            for text, wrong in [("a crate of our own\n", False), ("we recieve it\n", True)]:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                ran = subprocess.run(["codespell", path], cwd=ROOT, capture_output=True,
                                     text=True, check=False)
                self.assertEqual(wrong, ran.returncode != 0, ran.stdout + ran.stderr)


if __name__ == "__main__":
    unittest.main()
