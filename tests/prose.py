"""The sentences of a page, without its code, tables, headings and directives."""

import re

BULLET = re.compile(r"^(- |\* |\d+\. )")
RULER = re.compile(r"=[= ]*= [= ]*=|\+[-=+]+\+")  # of a table
UNDERLINE = re.compile(r"([=\-~^\"'#*])\1{2,}")
INLINE = [
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),  # a picture
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),  # a link
    (re.compile(r":[\w:+-]+:`([^`<]*?)\s*<[^`]*>`"), r"\1"),  # a role with a text of its own
    (re.compile(r"`([^`<]+?)\s*<[^`]*>`_+"), r"\1"),
    (re.compile(r":[\w:+-]+:`[^`]*`|``[^`]*``|`[^`]*`"), "code"),  # counts as one word
    (re.compile(r"\bet al\.|\be\.g\.|\bi\.e\."), "etc"),
]


def find_prose(text):
    """Return the paragraphs of a page in reStructuredText or Markdown, each a list of lines."""
    paragraphs, skipped_below, in_fence = [[]], None, False
    indent = 0
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("```"):
            in_fence = not in_fence
        if in_fence or not stripped or stripped.startswith("```"):
            paragraphs.append([])
            continue
        depth = len(line) - len(line.lstrip())
        if skipped_below is not None and depth > skipped_below:
            continue
        skipped_below = None
        if stripped.startswith((".. ", "__ ")) or stripped == "::":
            skipped_below = None if stripped == ".. glossary::" else depth
            paragraphs.append([])
            continue
        before = paragraphs[-1]
        may_be_item = not before or BULLET.match(before[0].strip())  # else a wrapped number
        bullet = BULLET.match(stripped) if may_be_item else None
        depth += len(bullet[0]) if bullet else 0
        if bullet or depth != indent:
            paragraphs.append([])
        indent = depth
        paragraphs[-1].append(line)
        if stripped.endswith("::"):
            skipped_below = depth
    return [lines for lines in paragraphs if lines and not is_markup(lines)]


def is_markup(lines):
    """Tell whether lines are code, a table, a heading or options of a directive."""
    first = lines[0].strip()
    return (
        (
            first.startswith((">>>", "#", "|", ":")) and not re.match(r":[\w:+-]+:`", first)
        )  # a role at the start of a sentence
        or any(RULER.fullmatch(line.strip()) for line in lines)
        or UNDERLINE.fullmatch(lines[-1].strip()) is not None
    )


def replace_markup(text):
    """Return text with the words that a reader sees; a piece of code is one word."""
    for pattern, words in INLINE:
        text = pattern.sub(words, text)
    return text.replace("*", "")


def join_lines(lines):
    """Return a paragraph as one string."""
    return replace_markup(BULLET.sub("", " ".join(line.strip() for line in lines), count=1))


def read_markdown(text):
    """Return what a page says outside of its blocks of code: prose, headings and tables."""
    return replace_markup(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def count_words(text):
    """Return how many words have a letter or a digit."""
    return sum(any(c.isalnum() for c in word) for word in text.split())


def find_sentences(text):
    """Return the sentences of a page."""
    paragraphs = map(join_lines, find_prose(text))
    return [s for p in paragraphs for s in re.split(r"(?<=[.!?])[)\"]?\s+", p)]
