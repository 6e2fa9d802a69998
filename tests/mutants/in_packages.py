"""Mutants of `packages/`: guests, which are compiled anew."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_INBOX = "tests/packages/test_file_transfer.py::test_"
_FOLDERS = "tests/packages/test_folder_transfer.py::test_"

PACKAGES = (
    Mutant(
        "idle-places-stay-taken",
        "A place whose sender sends nothing is nobody else's, and not that sender's for another file either.",
        "packages/file_transfer/transfers.zig",
        "        if (!transfer.runs(.receiving) or !transfer.isIdle()) continue;\n",
        "        if (!transfer.runs(.receiving) or clock >= 0) continue;\n",
        _INBOX + "a_node_whose_transfers_get_nowhere_gets_its_own_places_back_the_longest_idle_first",
    ),
    Mutant(
        "room-is-promised-twice",
        "A file may take the room that was promised to another one, which is still coming.",
        "packages/file_transfer/transfers.zig",
        "pub fn promised() u64 {\n    var sum: u64 = 0;\n",
        "pub fn promised() u64 {\n    var sum: u64 = 0;\n    if (clock >= 0) return sum;\n",
        _INBOX + "the_same_room_is_not_promised_twice",
    ),
    Mutant(
        "places-without-end",
        "One node may have all the places for files that are received at one time.",
        "packages/file_transfer/transfers.zig",
        "pub const max_of_node = 16;\n",
        "pub const max_of_node = 256;\n",
        "greedy",
        10,
    ),
    Mutant(
        "files-of-any-size",
        "Offers of exabytes are accepted as far as their size goes.",
        "packages/file_transfer/policy.zig",
        "    if (size <= max) return null;\n",
        "    if (size >= 0 or max > 0) return null;\n",
        "greedy",
        10,
    ),
    Mutant(
        "packing-loses-the-last-file",
        "What comes last in a folder is not sent.",
        "nectar_node/packing/packed_folder.py",
        "    for entry in entries:\n        path, target = entry.path.encode()",
        "    for entry in list(entries)[:-1] or list(entries):\n        path, target = entry.path.encode()",
        "folders",
        10,
    ),
    Mutant(
        "folders-resume-at-the-wrong-entry",
        "A folder that goes on in the midst of a file goes on at that file's beginning.",
        "nectar_node/packing/packed_folder.py",
        "                piece = PackedPiece(self.files[number], offset - start, min(end, after) - offset)\n",
        "                piece = PackedPiece(self.files[number], 0, min(end, after) - offset)\n",
        _FOLDERS + "an_interrupted_folder_goes_on_in_the_midst_of_it",
    ),
    Mutant(
        "modes-are-lost",
        "Files of a folder have the permissions of any other file when they arrive.",
        "nectar_node/packing/packed_folder.py",
        "    return entry.mode & 0o777 | (OWNER_OF_FILE if entry.kind is PackedKind.FILE else OWNER_OF_FOLDER)\n",
        "    return OWNER_OF_FILE if entry.kind is PackedKind.FILE else OWNER_OF_FOLDER\n",
        "folders",
        10,
    ),
    Mutant(
        "folders-take-links-that-lead-out",
        "A folder of another node has links that lead out of it.",
        "nectar_node/packing/packed_folder.py",
        "            if names or room < 0:\n",
        "            if names and room < -100:\n",
        _FOLDERS + "what_a_hostile_sender_packs_is_refused_in_one_sentence_and_leaves_nothing",
    ),
    Mutant(
        "folders-take-paths-from-the-root",
        "A path of a folder may begin with a slash, and so counts as lying one folder deeper than it does.",
        "nectar_node/packing/packed_folder.py",
        "        if above not in folders or (slash and not above):",
        "        if above not in folders or (slash and not folders):",
        _FOLDERS + "what_a_hostile_sender_packs_is_refused_in_one_sentence_and_leaves_nothing",
    ),
    Mutant(
        "what-arrives-is-compared-with-nothing",
        "What has arrived is kept whatever its hash is.",
        "packages/file_transfer/receiver.zig",
        "        if (!std.mem.eql(u8, &ours.hash, &hash)) {\n",
        "        if (ours.hash.len != hash.len) {\n",
        "folders",
    ),
    Mutant(
        "folders-keep-what-was-unpacked-twice",
        "The packed folder stays on the disk when it has been unpacked.",
        "packages/file_transfer/receiver.zig",
        "                if (self.isFolder()) self.discard();\n",
        "",
        _FOLDERS + "a_folder_arrives_with_its_names_contents_modes_times_and_links",
    ),
    Mutant(
        "chats-forget-what-they-heard",
        "A member of a chat says of some lines that it has heard them, and does not keep them.",
        "packages/chat/chat.zig",
        "        try history.hear(member, ask.Line.number, ask.Line.text);\n",
        "        if (ask.Line.number % 4 != 3) try history.hear(member, ask.Line.number, ask.Line.text);\n",
        "chat",
        5,
    ),
    Mutant(
        "pools-count-lost-jobs-as-done",
        "A job whose worker came to nothing counts as done.",
        "packages/pool/board.zig",
        "    returned(pair).state = .waiting;\n",
        "    returned(pair).state = .done;\n",
        "workers",
        5,
    ),
)
