//! The system process `vfs`, as far as a file transfer needs it. Its operations on one path are done in the order in
//! which one process sent them; that is what makes the length of a partial file mean "this much has arrived".

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");
const address: nectar.Address = .local("vfs:distro:sys");

pub const Action = union(enum) {
    CreateDrive,
    CreateDirAll,
    Metadata,
    OpenFile: struct { create: bool },
    /// Answered Read, with the bytes in the blob; fewer at the end of the file.
    ReadAt: struct { offset: u64, length: u32 },
    /// The bytes are the request's blob, which must have that length.
    WriteAt: struct { offset: u64, length: u32 },
    SyncAll,
    /// A page of a folder: the first `limit` of the names behind `after`; none are left when it is empty.
    ReadDir: struct { after: []const u8, limit: u32 },
    CreateFile,
    /// Bytes that our files may still grow by.
    FreeSpace,
    /// BLAKE3 of the whole file; may take long.
    Hash,
    Rename: struct { new_path: []const u8 },
    RemoveFile,
};

pub const FileType = enum { File, Directory, Symlink, Other };
pub const Metadata = struct { file_type: FileType, len: u64, modified: i64 = 0 };
pub const Entry = struct {
    path: []const u8,
    file_type: FileType,

    pub fn name(self: Entry) []const u8 {
        return self.path[std.mem.lastIndexOfScalar(u8, self.path, '/').? + 1 ..];
    }
};

/// Entries of a folder that are asked for at once.
const page_entries = 1000;

pub const Reply = union(enum) {
    Ok,
    Read,
    Metadata: Metadata,
    Hash: [32]u8,
    ReadDir: []const Entry,
    FreeSpace: u64,
    Err: Problem,

    /// Why this is not what was asked for.
    pub fn problem(self: Reply) Problem {
        return switch (self) {
            .Err => |err| err,
            else => .{ .kind = .Other, .text = "the file system gave an unexpected answer" },
        };
    }
};

/// An error of vfs: `{"NotFound":…}`, `{"IOError":{"error":…}}`, another variant, or a text.
pub const Problem = struct {
    kind: protocol.Kind,
    text: []const u8,
    /// The disk is full.
    full: bool = false,

    const Known = union(enum) {
        NotFound: nectar.json.Raw,
        IOError: struct { @"error": []const u8 },
        BadBytes: nectar.json.Raw,
    };

    pub fn fromJson(scanner: *nectar.json.Scanner) nectar.json.Error!Problem {
        const raw = try nectar.json.Raw.fromJson(scanner);
        const known = nectar.json.parse(Known, raw.text) catch {
            return of(nectar.json.parse([]const u8, raw.text) catch raw.text, .Other);
        };
        return switch (known) {
            .NotFound => .{ .kind = .NotFound, .text = "not found" },
            .BadBytes => .{ .kind = .Changed, .text = "other bytes came than were asked for" },
            .IOError => |io| of(io.@"error", .Disk),
        };
    }

    fn of(text: []const u8, otherwise: protocol.Kind) Problem {
        if (contains(text, &.{ "NotFound", "No such file" })) return .{ .kind = .NotFound, .text = text };
        if (contains(text, &.{ "No space left", "quota exceeded" })) {
            return .{ .kind = .Disk, .text = text, .full = true };
        }
        return .{ .kind = otherwise, .text = text };
    }

    fn contains(text: []const u8, parts: []const []const u8) bool {
        for (parts) |part| if (std.mem.indexOf(u8, text, part) != null) return true;
        return false;
    }
};

fn body(path: []const u8, action: Action) []const u8 {
    return nectar.json.stringify(.{ .path = path, .action = action });
}

/// Do something quick and wait for it.
pub fn ask(path: []const u8, action: Action) Reply {
    return switch (nectar.sendAndAwait(.{
        .target = address,
        .body = body(path, action),
        .expects_response = protocol.timeout.local,
    })) {
        .response => |response| parse(response.body),
        .send_error => |failed| unanswered(failed.kind),
    };
}

/// The page of a folder behind the page that ends with `last`; with null, the first one.
pub fn page(path: []const u8, last: ?Entry) Reply {
    const after = if (last) |entry| entry.name() else "";
    return ask(path, .{ .ReadDir = .{ .after = after, .limit = page_entries } });
}

/// Do something whose outcome comes back with `context`. With `inherit` vfs is handed the blob of the message being
/// handled.
pub fn start(path: []const u8, action: Action, seconds: u64, context: []const u8, inherit: bool) void {
    nectar.send(.{
        .target = address,
        .body = body(path, action),
        .expects_response = seconds,
        .context = context,
        .inherit = inherit,
    });
}

pub fn parse(bytes: []const u8) Reply {
    return nectar.json.parse(Reply, bytes) catch
        .{ .Err = .{ .kind = .Other, .text = "the file system gave an unexpected answer" } };
}

pub fn unanswered(_: nectar.SendErrorKind) Reply {
    return .{ .Err = .{ .kind = .Other, .text = "the file system does not answer" } };
}
