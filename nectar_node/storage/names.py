"""Which names new files and folders of packages may have, so that a drive can be put back on any platform.

What is refused cannot be a name on Windows, or is not shown for what it is. The rules of Windows:
https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file. Of those, ':', '*', '?', '"', '<', '>' and '|' are
allowed here: packages of the existing node name folders after packages (`app:publisher`), and a drive itself lies in a
folder of such a name, so whoever puts drives there must write ':' in another way in any case. Names that differ only in
case, or in Unicode normalisation, are different names here, as on Linux: to notice them, all names of a folder would
have to be read whenever a file is made.
"""

from __future__ import annotations

import re
import unicodedata

from nectar_node.storage.operations import MAX_NAME_BYTES

_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³])( *\..*)?", re.IGNORECASE | re.DOTALL)


def why_refused(name: str) -> str | None:
    """Return why a new file or folder may not have this name: the rest of "its name …"; None: it may."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "is not Unicode text"
    if not name:
        return "is empty"
    if length > MAX_NAME_BYTES:
        return f"has more than {MAX_NAME_BYTES} bytes"
    if name in (".", ".."):
        return "stands for a folder"
    if any(unicodedata.category(each) == "Cc" for each in name):
        return "contains a control character"
    if "/" in name or "\\" in name:
        return "contains a slash or backslash, which part names from each other"
    if name[-1] in ". ":
        return "ends with a dot or a space, which Windows drops"
    if _DEVICE.fullmatch(name):
        return "is that of a device on Windows"
    return None
