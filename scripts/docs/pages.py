"""Markdown pages as the checks read them: headings, links, blocks of code, spans of code."""

import os
import re
import subprocess
import unicodedata

FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*([\w-]*)")
# A comment on the line before a block says what becomes of it: <!-- cloud -->.
MARK = re.compile(r"^\s*<!--\s*(run|cloud|elsewhere|like)(?::\s*(.*?))?\s*-->\s*$")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*<?(\S+?)>?\s*$")
SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)


class Block:
    def __init__(self, page, line, language, text, mark, why):
        self.page, self.line, self.language, self.text = page, line, language, text
        self.mark, self.why = mark, why

    @property
    def place(self):
        return f"{self.page}:{self.line}"


class Page:
    """One file; `name` is its path from the root."""

    def __init__(self, root, name):
        self.name = name
        with open(os.path.join(root, name), encoding="utf-8") as file:
            self.lines = file.read().split("\n")
        self.blocks, self.prose = [], []
        self._split()

    def _split(self):
        """Blocks of code go to `blocks`; in `prose` an empty line stands for each of their lines."""
        fence, begun, mark = None, 0, (None, None)
        for number, line in enumerate(self.lines, 1):
            found = FENCE.match(line)
            if fence is None and found:
                fence, begun, language, text = found, number, found.group(3), []
                self.prose.append("")
            elif fence is not None:
                if found and found.group(2).startswith(fence.group(2)) and not found.group(3):
                    self.blocks.append(Block(self.name, begun, language, "\n".join(text) + "\n", *mark))
                    fence, mark = None, (None, None)
                else:
                    text.append(line)
                self.prose.append("")
            else:
                self.prose.append(line)
                said = MARK.match(line)
                mark = (said.group(1), said.group(2)) if said else (None, None)

    def links(self):
        """(line, target) of each link and picture."""
        for number, line in enumerate(self.prose, 1):
            bare = SPAN.sub("", line)
            for found in LINK.finditer(bare):
                yield number, found.group(1)
            found = REFERENCE.match(bare)
            if found:
                yield number, found.group(1)

    def spans(self):
        """(line, text) of each span of code; one may go over the end of a line."""
        text, number = "\n".join(self.prose), 1
        at = 0
        for found in SPAN.finditer(text):
            number += text.count("\n", at, found.start())
            at = found.start()
            yield number, " ".join(found.group(2).split())

    def anchors(self):
        """The names that GitHub gives its headings, and those of <a id=…>."""
        seen, names = {}, set()
        for line in self.prose:
            names.update(re.findall(r"<a\s+(?:id|name)=\"([^\"]+)\"", line))
            found = HEADING.match(line)
            if not found:
                continue
            name = anchor(found.group(2))
            times = seen.get(name, 0)
            seen[name] = times + 1
            names.add(f"{name}-{times}" if times else name)
        return names


def anchor(heading):
    """A heading's name in an address: lower case, no punctuation, hyphens for spaces."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    text = re.sub(r"(?<!\w)[*_]+|[*_]+(?!\w)", "", text).lower()
    kept = (c for c in text if c in " -_" or unicodedata.category(c)[0] in "LN")
    return "".join(kept).replace(" ", "-")


def pages(root):
    """All Markdown files of the repository; without git, all but what was built."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others",
                             "--exclude-standard", "*.md"], capture_output=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        names = []
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in ("target", "var", ".git")]
            names += [os.path.relpath(os.path.join(folder, name), root)
                      for name in files if name.endswith(".md")]
    return [Page(root, name) for name in sorted(names) if os.path.isfile(os.path.join(root, name))]
