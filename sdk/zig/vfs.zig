//! Files in the drives of packages, by `vfs:distro:sys`, which the manifest asks for.
//!
//!     const path = nectar.format("{s}/notes.txt", .{nectar.vfs.drive(our, "notes")});
//!     try nectar.vfs.write(path, "Hello");
//!
//! `ask` does one of all actions and says why one is not done, `start` does not wait for its outcome. Operations on one
//! path are done in the order in which one process has sent them; that is what makes the length of a partial file mean
//! "this much has arrived".

const std = @import("std");
const nectar = @import("nectar.zig");
const address: nectar.Address = .local("vfs:distro:sys");

/// What can be done at a path.
pub const Action = union(enum) {
    CreateDrive,
    /// A whole file, answered Read, with the bytes in the blob.
    Read,
    /// Replace a file with the blob, or make it: whoever reads it finds the old or the new one, whole.
    Write,
    /// The blob goes to the end of a file that is there.
    Append,
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
    CopyFile: struct { new_path: []const u8 },
    RemoveFile,
    /// A folder with all that is in it.
    RemoveDirAll,
};

/// What is at a path.
pub const FileType = enum { File, Directory, Symlink, Other };
/// What is known of a file or folder: its length in bytes, and when it was changed, in seconds since 1970.
pub const Metadata = struct { file_type: FileType, len: u64, modified: i64 = 0 };
/// One of a folder. Its path has no slash in front.
pub const Entry = struct {
    path: []const u8,
    file_type: FileType,

    /// The last part of the path.
    pub fn name(self: Entry) []const u8 {
        return self.path[std.mem.lastIndexOfScalar(u8, self.path, '/').? + 1 ..];
    }
};

/// What is wrong: `Changed`: other bytes came than were asked for.
pub const Kind = enum { NotFound, Changed, Disk, Other };

/// Seconds for something quick.
const seconds = 30;
/// Entries of a folder that are asked for at once.
const page_entries = 1000;

/// What came of an action.
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
    kind: Kind,
    text: []const u8,
    /// The disk is full.
    full: bool = false,

    const Known = union(enum) {
        NotFound: nectar.json.Raw,
        IOError: struct { @"error": []const u8 },
        BadBytes: nectar.json.Raw,
    };

    /// Read any of these.
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

    fn of(text: []const u8, otherwise: Kind) Problem {
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
    return askWith(path, action, null);
}

/// The same with bytes to write.
pub fn askWith(path: []const u8, action: Action, bytes: ?[]const u8) Reply {
    return switch (nectar.sendAndAwait(.{
        .target = address,
        .body = body(path, action),
        .expects_response = seconds,
        .blob = if (bytes) |some| .{ .bytes = some } else null,
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
pub fn start(path: []const u8, action: Action, timeout: u64, context: []const u8, inherit: bool) void {
    nectar.send(.{
        .target = address,
        .body = body(path, action),
        .expects_response = timeout,
        .context = context,
        .inherit = inherit,
    });
}

/// What a response of the vfs says, to what `start` has sent.
pub fn parse(bytes: []const u8) Reply {
    return nectar.json.parse(Reply, bytes) catch
        .{ .Err = .{ .kind = .Other, .text = "the file system gave an unexpected answer" } };
}

/// What there is to say of an action that was not answered.
pub fn unanswered(_: nectar.SendErrorKind) Reply {
    return .{ .Err = .{ .kind = .Other, .text = "the file system does not answer" } };
}

/// `ask` says which it is in words.
pub const Error = error{ NotFound, Failed };

fn failure(reply: Reply) Error {
    return if (reply.problem().kind == .NotFound) error.NotFound else error.Failed;
}

fn do(path: []const u8, action: Action, bytes: ?[]const u8) Error!void {
    const reply = askWith(path, action, bytes);
    if (reply != .Ok) return failure(reply);
}

/// What `Action` has not, whose names each process that uses that has in it.
fn tell(path: []const u8, action: anytype) Error!void {
    const outcome = nectar.sendAndAwait(.{
        .target = address,
        .body = nectar.json.stringify(.{ .path = path, .action = action }),
        .expects_response = seconds,
    });
    const reply = switch (outcome) {
        .response => |response| parse(response.body),
        .send_error => |failed| unanswered(failed.kind),
    };
    if (reply != .Ok) return failure(reply);
}

fn load(path: []const u8, action: Action) Error![]const u8 {
    const reply = ask(path, action);
    if (reply != .Read) return failure(reply);
    return if (nectar.getBlob()) |blob| blob.bytes else "";
}

/// The path of a drive of our own package, which `createDrive` makes: "/package:publisher/name".
pub fn drive(our: nectar.Address, name: []const u8) []const u8 {
    return nectar.format("/{s}:{s}/{s}", .{ our.process.package, our.process.publisher, name });
}

/// Make a drive, unless it is there.
pub fn createDrive(path: []const u8) Error!void {
    return do(path, .CreateDrive, null);
}

/// Make a folder and those above it, unless they are there.
pub fn createDir(path: []const u8) Error!void {
    return do(path, .CreateDirAll, null);
}

/// A whole file, which lives until the next message.
pub fn read(path: []const u8) Error![]const u8 {
    return load(path, .Read);
}

/// Bytes from `offset` on; fewer at the end of the file.
pub fn readAt(path: []const u8, offset: u64, length: u32) Error![]const u8 {
    return load(path, .{ .ReadAt = .{ .offset = offset, .length = length } });
}

/// Replace a file, or make it: whoever reads it finds the old or the new one, whole.
pub fn write(path: []const u8, bytes: []const u8) Error!void {
    return do(path, .Write, bytes);
}

/// Write into a file that is there.
pub fn writeAt(path: []const u8, offset: u64, bytes: []const u8) Error!void {
    return do(path, .{ .WriteAt = .{ .offset = offset, .length = @intCast(bytes.len) } }, bytes);
}

/// Write at the end of a file that is there.
pub fn append(path: []const u8, bytes: []const u8) Error!void {
    return do(path, .Append, bytes);
}

/// Make an empty file; one that is there loses its content.
pub fn createFile(path: []const u8) Error!void {
    return do(path, .CreateFile, null);
}

/// Cut a file off, or fill it up with zeros.
pub fn setLength(path: []const u8, length: u64) Error!void {
    return tell(path, .{ .SetLen = length });
}

/// BLAKE3 of a whole file; may take long.
pub fn hash(path: []const u8) Error![32]u8 {
    const reply = ask(path, .Hash);
    return if (reply == .Hash) reply.Hash else failure(reply);
}

/// Make what was written durable.
pub fn sync(path: []const u8) Error!void {
    return do(path, .SyncAll, null);
}

/// Give a file or folder another path.
pub fn rename(path: []const u8, new_path: []const u8) Error!void {
    return do(path, .{ .Rename = .{ .new_path = new_path } }, null);
}

/// Copy a file.
pub fn copy(path: []const u8, new_path: []const u8) Error!void {
    return do(path, .{ .CopyFile = .{ .new_path = new_path } }, null);
}

/// Remove a file.
pub fn remove(path: []const u8) Error!void {
    return do(path, .RemoveFile, null);
}

/// Remove a folder with all that is in it.
pub fn removeDir(path: []const u8) Error!void {
    return do(path, .RemoveDirAll, null);
}

/// What is known of a file or folder.
pub fn metadata(path: []const u8) Error!Metadata {
    const reply = ask(path, .Metadata);
    return if (reply == .Metadata) reply.Metadata else failure(reply);
}

/// Bytes that our files may still grow by.
pub fn freeSpace(path: []const u8) Error!u64 {
    const reply = ask(path, .FreeSpace);
    return if (reply == .FreeSpace) reply.FreeSpace else failure(reply);
}

/// What the vfs tells whoever watches a path.
pub const Change = union(enum) {
    /// Something may have changed at these paths: at the watched one, below it or above it; with `more`, also elsewhere.
    Changed: struct { path: []const u8, changes: []const []const u8, more: bool },
    /// The path is not watched any more: we may not read it now.
    Unwatched: struct { path: []const u8, reason: nectar.json.Raw },
};

/// Be told when something may have changed at a path, by requests that `parseChange` reads. Nobody is told of what it has
/// changed itself.
pub fn watch(path: []const u8) Error!void {
    return tell(path, @as([]const u8, "Watch"));
}

/// Be told no longer.
pub fn unwatch(path: []const u8) Error!void {
    return tell(path, @as([]const u8, "Unwatch"));
}

/// What a request of the vfs tells, `our` being what `init` was given; null: the request is another one. Answer a
/// `Changed`: until then changes are gathered.
pub fn parseChange(our: nectar.Address, request: nectar.Request) ?Change {
    if (!std.mem.eql(u8, request.source.node, our.node) or !request.source.process.eql(address.process)) return null;
    return nectar.json.parse(Change, request.body) catch null;
}
