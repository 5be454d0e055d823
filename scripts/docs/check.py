#!/usr/bin/env python3
"""What can be held against the sources without running anything:

  - each link to a file or a heading leads somewhere, and docs/README.md leads to every page;
  - each file and each `make` target that a page names is there;
  - each block of shell parses (`bash -n`), each JSON, TOML and Python block too;
A block of shell of which nobody said whether it runs here (`<!-- run -->`, `<!-- cloud -->`,
`<!-- elsewhere: WHERE -->` on the line before it) is told as "not run: PLACE" and is no fault.

  scripts/docs/check.py [ROOT]

Exit code 1 if something is wrong; each fault is a line of its own.
"""

import ast
import json
import os
import re
import subprocess
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import pages as markdown

# A span of code that begins so names a file of the repository.
FOLDERS = ("src/", "tests/", "docs/", "scripts/", "fixtures/", "vendor/", ".ci/")
# What is made, not kept.
MADE = ("fixtures/generated",)
FILE = re.compile(r"^[\w./{},-]+$")


def dead_links(root, pages):
    anchors = {page.name: page.anchors() for page in pages}
    for page in pages:
        for line, target in page.links():
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            path = urllib.parse.unquote(parts.path)
            folder = os.path.dirname(page.name)
            name = os.path.normpath(os.path.join(folder, path)) if path else page.name
            if name.startswith("..") or os.path.isabs(path):
                yield f"{page.name}:{line}: {target} leads out of the repository"
            elif not os.path.exists(os.path.join(root, name)):
                yield f"{page.name}:{line}: {target}: there is no such file"
            elif parts.fragment and name in anchors and parts.fragment not in anchors[name]:
                yield f"{page.name}:{line}: {target}: {name} has no such heading"


def lost_pages(pages):
    """Pages of docs/ to which its entry page does not lead, directly."""
    entry = next((page for page in pages if page.name == "docs/README.md"), None)
    if entry is None:
        yield "docs/README.md: there is no such file"
        return
    led = {target.split("#")[0] for _, target in entry.links()}
    for page in pages:
        folder, name = os.path.split(page.name)
        if folder == "docs" and name != "README.md" and name not in led:
            yield f"docs/README.md: no link to {name}"


def spread(name):
    """`a/{b,c}.rs` as the shell spreads it out."""
    found = re.search(r"\{([^{}]*)\}", name)
    if not found:
        return [name]
    before, after = name[:found.start()], name[found.end():]
    return [whole for part in found.group(1).split(",") for whole in spread(before + part + after)]


def missing_files(root, pages):
    for page in pages:
        # Entries of the changelog speak of their time.
        if page.name == "CHANGELOG.md":
            continue
        for line, span in page.spans():
            if not span.startswith(FOLDERS) or not FILE.match(span):
                continue
            for name in spread(span):
                if not name.startswith(MADE) and not os.path.exists(os.path.join(root, name)):
                    yield f"{page.name}:{line}: there is no {name}"


def missing_targets(root, pages):
    with open(os.path.join(root, "Makefile"), encoding="utf-8") as file:
        targets = set(re.findall(r"^([a-z][a-z-]*):", file.read(), re.MULTILINE))
    for page in pages:
        said = [(line, span) for line, span in page.spans() if span.startswith("make ")]
        for block in page.blocks:
            if block.language == "sh":
                said += [(block.line, row.strip()) for row in block.text.split("\n")
                         if row.strip().startswith("make ")]
        for line, text in said:
            target = text.split()[1]
            if re.fullmatch(r"[a-z-]+", target) and target not in targets:
                yield f"{page.name}:{line}: there is no target {target} in the Makefile"


def bad_blocks(pages):
    for block in (block for page in pages for block in page.blocks):
        try:
            if block.language in ("sh", "bash", "shell"):
                ran = subprocess.run(["bash", "-n"], input=block.text, text=True,
                                     capture_output=True, check=False)
                if ran.returncode != 0:
                    raise ValueError(ran.stderr.strip().replace("\n", "; "))
            elif block.language == "json":
                parsed(block.text)
            elif block.language == "python":
                ast.parse(block.text)
            elif block.language == "toml" and sys.version_info >= (3, 11):
                import tomllib
                tomllib.loads(block.text)
        except (ValueError, SyntaxError) as fault:
            yield f"{block.place}: the {block.language} block does not parse: {fault}"


def parsed(text):
    """A JSON block: a value, or a member of an object."""
    try:
        return json.loads(text)
    except ValueError:
        return json.loads("{" + text.strip().rstrip(",") + "}")


def settings_listed(root):
    """The names of settings, from the tables of the pages that are made from the code."""
    def rows(page, of):
        with open(os.path.join(root, "docs", page), encoding="utf-8") as file:
            text = file.read()
        parts = re.findall(r"^<!-- ([^/\n]*) -->\n((?:\|.*\n)+)<!-- /", text, re.MULTILINE)
        return {name for part, table in parts if of(part)
                for name in re.findall(r"^\| `([\w.]+)`", table, re.MULTILINE)}

    # The rows of a profile are not named by their section.
    listed = rows("settings.md", lambda part: part != "profiles")
    return listed | {f"limits.{name}" for name in rows("media.md", lambda part: part == "limits")}


def unmarked(pages):
    """Shell blocks of which nobody said whether they run here."""
    for block in (block for page in pages for block in page.blocks):
        if block.language in ("sh", "bash", "shell") and block.mark is None:
            yield block.place


def faults(root):
    pages = markdown.pages(root)
    yield from dead_links(root, pages)
    yield from lost_pages(pages)
    yield from missing_files(root, pages)
    yield from missing_targets(root, pages)
    yield from bad_blocks(pages)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(HERE))
    found = list(faults(root))
    for fault in found:
        print(fault)
    pages = markdown.pages(root)
    for place in unmarked(pages):
        print(f"not run: {place}")
    if not found:
        links = sum(len(list(page.links())) for page in pages)
        blocks = sum(len(page.blocks) for page in pages)
        print(f"{len(pages)} pages, {links} links, {blocks} blocks: all right")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
