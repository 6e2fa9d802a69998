"""Links that leave docs/: what they name gets a page of the site, so that one link serves the repository and the site.

A Markdown file keeps its text; of source code the page is a listing, of a folder its README or a listing of its files.
A link to what is not there stays as it is, and the strict build fails on it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
AREA = "repository"
"""The site's folder for pages of files outside docs/."""
ENTRANCES = (
    *("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"),
    *(f"sdk/{each}/README.md" for each in ("zig", "c", "python", "javascript", "rust")),
    "packages/file_transfer",
)
"""Those that the navigation names; all others are found by links."""
LANGUAGES = {".py": "python", ".zig": "zig", ".json": "json", ".wit": "text", ".toml": "toml"}
LANGUAGES |= {".ts": "typescript", ".js": "javascript", ".c": "c", ".h": "c", ".rs": "rust"}
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file and folder of the repository that a page links to, and for those that these link to."""
    pages: dict[str, str] = {}
    waiting = list(ENTRANCES)
    for file in files.documentation_pages():
        waiting += _outside(f"docs/{file.src_uri}", file.content_string)
    while waiting:
        target = waiting.pop()
        uri = _uri(target)
        if uri is None or uri in pages:
            continue
        pages[uri] = _text(ROOT / target)
        waiting += _outside(_source(target), pages[uri])
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Have links between docs/ and the rest of the repository lead to the pages made for them."""
    here = page.file.src_uri
    origin = _origin(here)

    def rewritten(match: re.Match[str]) -> str:
        path, hash_sign, anchor = match[2].partition("#")
        if not path or ":" in path:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        uri = target.removeprefix("docs/") if target.startswith("docs/") else _uri(target)
        if uri is None:
            return match[0]
        return f"{match[1]}{posixpath.relpath(uri, posixpath.dirname(here) or '.')}{hash_sign}{anchor}{match[3]}"

    return _LINK.sub(rewritten, markdown)


def _outside(source: str, text: str) -> Iterator[str]:
    """The paths in the repository, but outside docs/, that the text of a page links to."""
    for match in _LINK.finditer(text):
        path = match[2].partition("#")[0]
        if path and ":" not in path:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
            if not target.startswith(("docs/", "../")):
                yield target


def _uri(target: str) -> str | None:
    """Where in the site's sources the page of a path in the repository is; None: there is no such path."""
    path = ROOT / target
    if not path.exists():
        return None
    shown = _source(target)
    return f"{AREA}/{shown}" if shown.endswith(".md") else f"{AREA}/{shown}.md"


def _source(target: str) -> str:
    """The file whose text a path stands for: of a folder its README, if it has one."""
    return f"{target}/README.md" if (ROOT / target / "README.md").is_file() else target


def _origin(uri: str) -> str:
    """The path in the repository that a page was made from."""
    if not uri.startswith(f"{AREA}/"):
        return f"docs/{uri}"
    path = uri.removeprefix(f"{AREA}/")
    return path if (ROOT / path).is_file() else path.removesuffix(".md")


def _text(path: Path) -> str:
    """The page of a file or a folder, as Markdown."""
    if path.is_dir():
        readme = path / "README.md"
        return readme.read_text() if readme.is_file() else _folder(path)
    if path.suffix == ".md":
        return path.read_text()
    return f"# {path.relative_to(ROOT)}\n\n{_listing(path)}"


def _folder(path: Path) -> str:
    files = [each for each in sorted(path.iterdir()) if each.suffix in LANGUAGES]
    parts = [f"## {each.name}\n\n{_listing(each)}" for each in files]
    return "\n\n".join([f"# {path.relative_to(ROOT)}", *parts])


def _listing(path: Path) -> str:
    return f"````{LANGUAGES.get(path.suffix, 'text')}\n{path.read_text().rstrip()}\n````"
