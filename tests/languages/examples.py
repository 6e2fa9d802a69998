"""The examples of the SDKs: blocks of code in pages and in the comments of the sources, each made a whole process.

A block that is a file of its own is taken as it is. Around statements the rest is put: what is imported,
and the function that a process has.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packages.build import ROOT

SDK = ROOT / "sdk"
_FOLLOWED = ROOT / "docs" / "testing-your-package.md"
"""A test does all that it says (tests/testnet/test_testing_your_package.py); its blocks build upon each other."""
PAGES = sorted({path for each in ("*.md", "docs/*.md", "packages/*/*.md") for path in ROOT.glob(each)} - {_FOLLOWED})
"""Those beside the guides of the SDKs. What they have in Python is for the node's own Python."""


@dataclass(frozen=True, slots=True)
class Example:
    """A block of code."""

    path: Path
    line: int
    """Of its first line in that file."""
    suffix: str
    """Of a file with it: ".zig"."""
    text: str

    @property
    def name(self) -> str:
        """The name of a module with it, which says where it stands."""
        return re.sub(r"\W", "_", f"{self.path.relative_to(ROOT)}_{self.line}")

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    def write(self, folder: Path) -> Path:
        """Write the process of which it is a part."""
        path = folder / f"{self.name}{self.suffix}"
        path.write_text(_WHOLE[self.suffix](self.text))
        return path


def examples(language: str) -> list[Example]:
    """All of a language's, in the order of their files."""
    folder = SDK / language
    sources = {
        "c": _comments_of_c,
        "zig": _comments_of_zig,
        "javascript": _comments_of_javascript,
        "python": _docstrings,
    }
    pages = [folder / "README.md", *([] if language == "python" else PAGES)]
    found = [each for page in pages for each in _fenced(page, {"javascript": ("js", "ts")}.get(language, (language,)))]
    suffix = {"c": ".c", "zig": ".zig", "javascript": ".ts", "python": ".py"}[language]
    for path, line, text in sources[language](folder):
        found += [Example(path, line + at, suffix, block) for at, block in _indented(text)]
    return found


def _fenced(page: Path, languages: tuple[str, ...]) -> Iterator[Example]:
    text = page.read_text()
    for block in re.finditer(rf"^```({'|'.join(languages)})\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        suffix = ".py" if block[1] == "python" else f".{block[1]}"
        yield Example(page, text.count("\n", 0, block.start(2)) + 1, suffix, block[2])


def _indented(text: str) -> Iterator[tuple[int, str]]:
    """The blocks of a comment that Markdown takes for code, and in which of its lines each begins."""
    for block in re.finditer(r"(?:\A|(?<=\n\n))((?: {4}.*\n)(?:\n*(?: {4}.*\n))*)", f"{text}\n"):
        code = re.sub(r"^ {4}", "", block[1], flags=re.MULTILINE)
        if not code.startswith(">>>"):  # the doctests of Python run elsewhere
            yield text.count("\n", 0, block.start(1)), code


Comments = Iterator[tuple[Path, int, str]]
"""Comments without what marks them: in which file, in which line, and what they say."""


def _comments_of_c(folder: Path) -> Comments:
    return _boxed(sorted(folder.glob("*.h")), "/*")


def _comments_of_javascript(folder: Path) -> Comments:
    return _boxed(sorted(folder.glob("*.ts")), "/**")


def _boxed(paths: list[Path], begin: str) -> Comments:
    for path in paths:
        text = path.read_text()
        for comment in re.finditer(rf"^ *{re.escape(begin)}(?!\*)(.*?)\*/", text, re.DOTALL | re.MULTILINE):
            said = re.sub(r"^ *\* ?", "", comment[1], flags=re.MULTILINE)
            yield path, text.count("\n", 0, comment.start(1)) + 1, said


def _comments_of_zig(folder: Path) -> Comments:
    for path in sorted(folder.glob("*.zig")):
        text = path.read_text()
        for comment in re.finditer(r"(?:^ *//[/!].*\n)+", text, re.MULTILINE):
            yield (
                path,
                text.count("\n", 0, comment.start()) + 1,
                re.sub(r"^ *//[/!] ?", "", comment[0], flags=re.MULTILINE),
            )


def _docstrings(folder: Path) -> Comments:
    for path in sorted((folder / "nectar").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                said = ast.get_docstring(node)
                if said is not None:
                    yield path, node.body[0].lineno, said


# --- whole processes


def _whole_c(text: str) -> str:
    if "nectar.h" in text:
        return text
    head = '#define NECTAR_IMPLEMENTATION\n#include "nectar.h"\n'
    return f"{head}void nectar_main(nectar_address our) {{\n(void)our;\n{text}}}\n"


_ZIG_TYPE = re.compile(r"^const (\w+) = (?:struct|union|enum)\b", re.MULTILINE)


def _whole_zig(text: str) -> str:
    if "fn init(" in text:
        return text
    head = 'const std = @import("std");\nconst nectar = @import("nectar");\n'
    used = "".join(f"_ = {name};\n" for name in _ZIG_TYPE.findall(text) if len(re.findall(rf"\b{name}\b", text)) == 1)
    return f"{head}pub fn init(our: nectar.Address) !void {{\n_ = &our;\n{text}{used}}}\n"


def _whole_python(text: str) -> str:
    if re.search(r"^(?:import|from) ", text, re.MULTILINE):
        return text
    head = "from dataclasses import dataclass\n\nimport nectar\nfrom nectar import http_client, kv, node, sqlite, vfs\n"
    inner = re.sub(r"^(?=.)", "    ", text, flags=re.MULTILINE)
    return f"{head}\n\n@nectar.on_start\nasync def example() -> None:\n{inner}"


def _whole_javascript(text: str) -> str:
    if re.search(r"^(?:import|export) ", text, re.MULTILINE):
        return text
    index = (SDK / "javascript" / "nectar.ts").read_text()
    names = re.findall(
        r"\w+", " ".join(re.findall(r"^export (?:\{(.*?)\}|\* as (?:\w+))", index, re.DOTALL | re.MULTILINE))
    )
    names += re.findall(r"\* as (\w+)", index)
    used = sorted({name for name in names if re.search(rf"(?<![.\w]){name}\b", text)})
    head = f'import {{ {", ".join(used)} }} from "nectar";\n'
    return f"{head}export async function example(): Promise<void> {{\n{text}}}\n"


_WHOLE: dict[str, Callable[[str], str]] = {
    ".c": _whole_c,
    ".zig": _whole_zig,
    ".py": _whole_python,
    ".js": _whole_javascript,
    ".ts": _whole_javascript,
}
