//! Folders as one file, by `vfs:distro:sys`.

const std = @import("std");
const nectar = @import("nectar");
const vfs = nectar.vfs;

/// What can be done at the path of a folder; `version` is what `metadata` has answered.
pub const Action = union(enum) {
    PackedMetadata,
    /// Answered PackedRead, with the bytes in the blob.
    PackedReadAt: struct { version: i64, offset: u64, length: u32 },
    PackedHash: struct { version: i64 },
    /// At the path of a file that is a packed folder of at most so many entries: make a folder of it, where there is
    /// nothing yet; whole or not at all.
    UnpackFolder: struct { new_path: []const u8, entries: u64 },
};

/// A folder as one file: its bytes, a number that any change of its names, times and sizes changes, and what is in it.
/// `left_out` says what of it is not in that file; empty: nothing.
pub const Folder = struct { len: u64, version: i64, entries: u64, files: u64, left_out: []const u8 };
/// How many files are whole before the byte `end`, the one after those that were read.
pub const Mark = struct { end: u64 = 0, files: u64 = 0 };

pub const Reply = union(enum) {
    Ok,
    Packed: Folder,
    PackedRead: Mark,
    Hash: [32]u8,
    Err: vfs.Problem,

    const Json = union(enum) { Ok, Packed: Folder, PackedRead: Mark, Hash: [32]u8, Err: nectar.json.Raw };

    /// Why this is not what was asked for.
    pub fn problem(self: Reply) vfs.Problem {
        return if (self == .Err) self.Err else unexpected;
    }
};

const unexpected: vfs.Problem = .{ .kind = .Other, .text = "the file system gave an unexpected answer" };

pub fn parse(bytes: []const u8) Reply {
    return switch (nectar.json.parse(Reply.Json, bytes) catch return .{ .Err = unexpected }) {
        .Err => |raw| .{ .Err = problemOf(raw.text) },
        inline else => |value, tag| @unionInit(Reply, @tagName(tag), value),
    };
}

fn problemOf(text: []const u8) vfs.Problem {
    var problem = nectar.json.parse(vfs.Problem, text) catch unexpected;
    const refused = "the archive is refused: ";
    if (std.mem.startsWith(u8, problem.text, refused)) {
        return .{ .kind = .Other, .text = problem.text[refused.len..] };
    }
    if (std.mem.indexOf(u8, problem.text, "has changed meanwhile") != null) problem.kind = .Changed;
    return problem;
}

/// Do something and wait for it.
pub fn ask(path: []const u8, action: Action, seconds: u64) Reply {
    return switch (nectar.sendAndAwait(.{ .target = address, .body = body(path, action), .expects_response = seconds })) {
        .response => |response| parse(response.body),
        .send_error => |failed| .{ .Err = vfs.unanswered(failed.kind).problem() },
    };
}

/// Do something whose outcome comes back with `context`.
pub fn start(path: []const u8, action: Action, seconds: u64, context: []const u8) void {
    nectar.send(.{
        .target = address,
        .body = body(path, action),
        .expects_response = seconds,
        .context = context,
    });
}

fn body(path: []const u8, action: Action) []const u8 {
    return nectar.json.stringify(.{ .path = path, .action = action });
}

const address: nectar.Address = .local("vfs:distro:sys");
