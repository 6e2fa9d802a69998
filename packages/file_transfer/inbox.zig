//! Where received files are kept, and under which names.

const std = @import("std");
const nectar = @import("nectar");
const packed_folder = @import("packed.zig");
const protocol = @import("protocol.zig");
const vfs = nectar.vfs;

/// Leaves room for " (2)" within the 255 bytes that file systems allow.
const max_name_bytes = 200;
/// Files of one name.
pub const max_candidates = 1000;

/// Make the folders if they do not exist; a text says what is wrong.
pub fn prepare(our: nectar.ProcessId) ?[]const u8 {
    const drive = folder(our);
    inline for (.{ .{ drive, .CreateDrive }, .{ partialFolder(our), .CreateDirAll } }) |step| {
        const reply = vfs.ask(step[0], step[1]);
        if (reply != .Ok) {
            nectar.print(0, "cannot make {s}: {s}", .{ step[0], reply.problem().text });
            return reply.problem().text;
        }
    }
    return null;
}

pub fn folder(our: nectar.ProcessId) []const u8 {
    return nectar.format("/{s}:{s}/inbox", .{ our.package, our.publisher });
}

/// Where files are while they arrive.
pub fn partialFolder(our: nectar.ProcessId) []const u8 {
    return nectar.format("{s}/.partial", .{folder(our)});
}

/// The same for the same version of the same file from the same node, different for all else. Begins with what
/// `ownerMark` gives for the node.
pub fn partialPath(our: nectar.ProcessId, node: []const u8, offer: protocol.Offer) []const u8 {
    const kind = if (offer.entries > 0) "\x00folder" else "";
    const identity = nectar.format("{s}\x00{s}\x00{d}\x00{d}{s}", .{ node, offer.name, offer.size, offer.modified, kind });
    const digest = sha256(identity);
    return nectar.format("{s}/{s}-{x}", .{ partialFolder(our), ownerMark(node), digest[0..16] });
}

const unpacked_ending = "-folder";

/// Where a packed folder at `partial` is unpacked.
pub fn unpackedPath(partial: []const u8) []const u8 {
    return nectar.format("{s}{s}", .{ partial, unpacked_ending });
}

/// The packed folder that was unpacked to `unpacked`.
pub fn packedPath(unpacked: []const u8) []const u8 {
    return if (std.mem.endsWith(u8, unpacked, unpacked_ending)) unpacked[0 .. unpacked.len - unpacked_ending.len] else unpacked;
}

/// What tells the partial files of one node from those of all others.
pub fn ownerMark(node: []const u8) []const u8 {
    const digest = sha256(node);
    return nectar.format("{x}", .{digest[0..8]});
}

fn sha256(text: []const u8) [std.crypto.hash.sha2.Sha256.digest_length]u8 {
    var digest: [std.crypto.hash.sha2.Sha256.digest_length]u8 = undefined;
    std.crypto.hash.sha2.Sha256.hash(text, &digest, .{});
    return digest;
}

pub const Usage = struct { bytes: u64, files: u64 };

/// What the inbox holds, files that are still coming aside; a text says why that cannot be told.
pub fn usage(our: nectar.ProcessId) union(enum) { usage: Usage, problem: []const u8 } {
    var sum: Usage = .{ .bytes = 0, .files = 0 };
    var last: ?vfs.Entry = null;
    while (true) {
        const listed = vfs.page(folder(our), last);
        if (listed != .ReadDir) return .{ .problem = listed.problem().text };
        if (listed.ReadDir.len == 0) return .{ .usage = sum };
        for (listed.ReadDir) |entry| switch (entry.file_type) {
            .File => switch (vfs.ask(entry.path, .Metadata)) {
                .Metadata => |file| {
                    sum.bytes +|= file.len;
                    sum.files += 1;
                },
                else => {}, // removed meanwhile
            },
            .Directory => if (entry.name()[0] != '.') switch (packed_folder.ask(entry.path, .PackedMetadata, protocol.timeout.disk)) {
                .Packed => |received| {
                    sum.bytes +|= received.len;
                    sum.files +|= received.entries;
                },
                else => {},
            },
            else => {},
        };
        last = listed.ReadDir[listed.ReadDir.len - 1];
    }
}

/// Names of devices on Windows, with any ending; COM and LPT also with a digit from 1 to 9.
const devices = [_][]const u8{ "con", "prn", "aux", "nul", "conin$", "conout$" };

fn isDevice(name: []const u8) bool {
    const dot = std.mem.indexOfScalar(u8, name, '.') orelse name.len;
    const stem = std.mem.trimEnd(u8, name[0..dot], " ");
    for (devices) |device| if (std.ascii.eqlIgnoreCase(stem, device)) return true;
    if (stem.len < 4) return false;
    const port = stem[3..];
    const digit = port.len == 1 and port[0] >= '1' and port[0] <= '9';
    const superscript = std.mem.eql(u8, port, "\u{b9}") or std.mem.eql(u8, port, "\u{b2}") or std.mem.eql(u8, port, "\u{b3}");
    if (!digit and !superscript) return false;
    return std.ascii.eqlIgnoreCase(stem[0..3], "com") or std.ascii.eqlIgnoreCase(stem[0..3], "lpt");
}

/// Why `name` cannot be a file's name here; null: it can. What vfs would refuse when all has arrived is refused before.
pub fn badName(name: []const u8) ?[]const u8 {
    if (name.len == 0) return "the file has no name";
    if (name.len > max_name_bytes) return "the file's name has more than 200 bytes";
    if (name[0] == '.') return "the file's name starts with '.'";
    if (!std.unicode.utf8ValidateSlice(name)) return "the file's name is not UTF-8";
    for (name) |byte| {
        if (byte == '/' or byte == '\\') return "the file's name contains a slash or backslash";
        if (std.ascii.isControl(byte)) return "the file's name contains a control character";
    }
    var characters = std.unicode.Utf8View.initUnchecked(name).iterator();
    while (characters.nextCodepoint()) |character| {
        if (character >= 0x80 and character < 0xa0) return "the file's name contains a control character";
    }
    if (name[name.len - 1] == '.' or name[name.len - 1] == ' ') return "the file's name ends with a dot or a space";
    if (isDevice(name)) return "the file's name is that of a device on Windows";
    return null;
}

/// The name to try after `index` others are taken: `photo.jpg`, `photo (2).jpg`, `photo (3).jpg`; of a folder `v1.2 (2)`.
pub fn candidate(name: []const u8, index: u32, is_folder: bool) []const u8 {
    if (index == 0) return name;
    const dot = if (is_folder) name.len else std.mem.lastIndexOfScalar(u8, name, '.') orelse name.len;
    return nectar.format("{s} ({d}){s}", .{ name[0..dot], index + 1, name[dot..] });
}

pub fn path(our: nectar.ProcessId, name: []const u8) []const u8 {
    return nectar.format("{s}/{s}", .{ folder(our), name });
}

/// Rename `partial` to the first free candidate for `name`, and answer the current request with the outcome; whether it
/// is done.
pub fn store(our: nectar.ProcessId, partial: []const u8, name: []const u8, is_folder: bool) bool {
    const answer = rename(our, if (is_folder) unpackedPath(partial) else partial, name, is_folder);
    protocol.respond(answer);
    return answer == .Stored;
}

fn rename(our: nectar.ProcessId, partial: []const u8, name: []const u8, is_folder: bool) protocol.Answer {
    if (badName(name)) |reason| return .{ .Err = reason };
    for (0..max_candidates) |index| {
        const chosen = candidate(name, @intCast(index), is_folder);
        const destination = path(our, chosen);
        switch (vfs.ask(destination, .Metadata)) {
            .Metadata => continue,
            .Err => |err| if (err.kind != .NotFound) return .{ .Err = err.text },
            else => |reply| return .{ .Err = reply.problem().text },
        }
        const renamed = vfs.ask(partial, .{ .Rename = .{ .new_path = destination } });
        if (renamed != .Ok) return .{ .Err = renamed.problem().text };
        return .{ .Stored = .{ .name = chosen, .path = destination } };
    }
    return .{ .Err = "there are too many files of that name" };
}
