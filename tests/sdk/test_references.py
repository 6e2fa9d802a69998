"""The reference pages of the SDKs, which `make docs` makes of their sources: they have all that is public."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from packages.build import ROOT

SDK = ROOT / "sdk"


def hook(name: str) -> ModuleType:
    """What makes the page of a language."""
    spec = importlib.util.spec_from_file_location(f"reference_of_{name}", ROOT / "docs" / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def headings(page: str) -> set[str]:
    return set(re.findall(r"^### (\S+)$", page, re.MULTILINE))


@pytest.mark.parametrize("language", ["c", "zig", "javascript"])
def test_the_site_has_the_page_and_what_fills_it(language: str) -> None:
    settings = (ROOT / "mkdocs.yml").read_text()
    page = hook(language).PAGE
    assert f"- docs/hooks/{language}.py\n" in settings
    assert f"- {page}\n" in settings
    assert (ROOT / "docs" / page).is_file()


# --- C


def test_all_that_the_header_declares_is_on_the_page() -> None:
    header = (SDK / "c" / "nectar.h").read_text()
    page = "\n".join(hook("c").sections(header))
    public = re.sub(r"/\*.*?\*/", "", header.partition("#endif /* NECTAR_H */")[0], flags=re.DOTALL)
    names = set(re.findall(r"\b(?:nectar_|NECTAR_)\w+", public)) - {"NECTAR_H"}
    shown = "\n".join(re.findall(r"^```c\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    assert names - set(re.findall(r"\w+", shown)) == set()
    functions = set(re.findall(r"\b(nectar_\w+)\(", public))
    assert len(functions) > 100
    assert functions - headings(page) == set()
    assert set(re.findall(r"^} (\w+);", public, re.MULTILINE)) - headings(page) == set()


def test_all_that_the_header_declares_is_defined_in_it() -> None:
    header = (SDK / "c" / "nectar.h").read_text()
    parts = re.findall(r'^#include "(implementation/\w+\.h)"$', header, re.MULTILINE)
    assert sorted(parts) == sorted(f"implementation/{path.name}" for path in (SDK / "c" / "implementation").iterdir())
    declared, defined = hook("c").public(header), "\n".join((SDK / "c" / part).read_text() for part in parts)
    declared = re.sub(r"/\*.*?\*/", "", declared, flags=re.DOTALL)
    functions = set(re.findall(r"\b(nectar_\w+)\([^;]*\);", declared)) - {"nectar_main"}
    assert {name for name in functions if not re.search(rf"\b{name}\([^;]*\) {{", defined)} == set()


def test_what_has_no_comment_in_c_is_named() -> None:
    declared = "/* One. */\nint nectar_one(void);\nint nectar_two(void);\n"
    with pytest.raises(ValueError, match=r"nectar_two in nectar\.h has no comment"):
        list(hook("c").sections(f"/* About. */\n#ifndef NECTAR_H\n{declared}#endif /* NECTAR_H */"))


# --- Zig


def public_names(file: str) -> list[str]:
    text = (SDK / "zig" / file).read_text()
    return re.findall(r"^ *pub (?:const|var|fn|inline fn) (\w+)", text, re.MULTILINE)


def test_all_that_is_public_in_zig_is_on_the_page() -> None:
    page = "\n".join(hook("zig").sections(SDK / "zig"))
    files = re.findall(r'^pub const (\w+) = @import\("(\w+\.zig)"\);', (SDK / "zig" / "nectar.zig").read_text(), re.M)
    assert len(files) >= 6
    for module, file in [("nectar", "nectar.zig"), *files]:
        part = re.split(r"^## ", page.partition(f"## {module}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
        modules = {name for name, _ in files} if module == "nectar" else set()
        assert [
            name for name in public_names(file) if not re.search(rf"\b{name}\b", part) and name not in modules
        ] == []
    for name in ("commit", "toJson", "samePackage", "deinit", "load"):  # of types that are handed on
        assert f"pub fn {name}(" in page


def test_nothing_private_in_zig_is_on_the_page() -> None:
    page = "\n".join(hook("zig").sections(SDK / "zig"))
    shown = "\n".join(re.findall(r"^```zig\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    assert re.findall(r"^ *fn |^ *const |^ *(?:if|for|while|switch) \(", shown, re.MULTILINE) == []


def test_what_has_no_comment_in_zig_is_named(tmp_path: Path) -> None:
    text = "//! About.\n\n/// One.\npub const One = struct {\n    pub fn two() void {\n        three();\n    }\n};\n"
    (tmp_path / "nectar.zig").write_text(text)
    with pytest.raises(ValueError, match=r"^two of pub const One .* in the SDK for Zig has no comment$"):
        list(hook("zig").sections(tmp_path))


# --- JavaScript


def test_all_that_is_exported_in_javascript_is_on_the_page() -> None:
    page = "\n".join(hook("javascript").sections())
    index = (SDK / "javascript" / "nectar.ts").read_text()
    names = {
        name
        for exported in re.findall(r"^export \{(.*?)\}", index, re.DOTALL | re.MULTILINE)
        for name in re.findall(r"\w+", exported.replace("type ", ""))
    }
    for module in re.findall(r'^export \* as \w+ from "\./(\w+)\.ts"', index, re.MULTILINE):
        text = (SDK / "javascript" / f"{module}.ts").read_text()
        names |= set(re.findall(r"^export (?:async )?(?:function\*?|class|interface|const|let|type) (\w+)", text, re.M))
    assert len(names) > 60
    assert names - headings(page) == set()
    assert re.findall(r"^### (\S+)\n\n\n", page, re.MULTILINE) == [], "what has no comment"


# --- what each language has


def names_in_the_table(column: int) -> list[str]:
    page = (ROOT / "docs" / "languages.md").read_text().partition("| receive |")
    rows = [line.split("|")[1:-1] for line in (page[1] + page[2]).splitlines() if line.startswith("|")]
    assert len(rows) > 25
    return [name for row in rows for name in re.findall(r"`(.+?)`", row[column])]


def test_what_the_table_of_languages_names_is_in_c_zig_and_javascript() -> None:
    declared = re.findall(r"\w+", hook("c").public((SDK / "c" / "nectar.h").read_text()))
    assert set(names_in_the_table(2)) - set(declared) == set()
    zig = headings("\n".join(hook("zig").sections(SDK / "zig")))
    assert set(names_in_the_table(1)) - zig == set()
    javascript = headings("\n".join(hook("javascript").sections()))
    options = {"bodyTo", "Request", "Response"}
    assert {name.split(".")[-1] for name in names_in_the_table(4)} - javascript - options == set()


def test_what_the_table_of_languages_names_is_in_python() -> None:
    options = {"body_to"}
    for name in set(names_in_the_table(3)) - options:
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(f"nectar.{module}".rstrip(".")), last), name
