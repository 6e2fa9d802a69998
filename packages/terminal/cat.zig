//! `cat PATH`: answers with the text of a file in any drive of this node.

const std = @import("std");
const nectar = @import("nectar");
const script = @import("script.zig");

/// What a message's body may have.
const max_bytes = 10 << 20;

const Reply = union(enum) {
    Read,
    Metadata: struct { file_type: enum { File, Directory }, len: u64 },
    Err: nectar.json.Raw,
};

/// Those errors of the file system that have words of their own.
const Problem = union(enum) { NotFound: nectar.json.Raw, ParseError: Why, IOError: Why };
const Why = struct { @"error": []const u8 };

pub fn init(_: nectar.Address) void {
    const path = script.arguments();
    if (path.len == 0 or path[0] != '/') {
        return script.fail("cat needs the path of a file in a drive, such as: cat /hello:sys/pkg/manifest.json", .{});
    }
    const found = ask(path, "Metadata") orelse return;
    if (found != .Metadata) return confused();
    if (found.Metadata.file_type == .Directory) return script.fail("{s} is a folder.", .{path});
    if (found.Metadata.len > max_bytes) {
        return script.fail("{s} has {d} bytes; cat shows at most {d}.", .{ path, found.Metadata.len, max_bytes });
    }
    const read = ask(path, "Read") orelse return;
    const blob = nectar.getBlob() orelse return confused();
    if (read != .Read or blob.bytes.len > max_bytes) return confused();
    if (!std.unicode.utf8ValidateSlice(blob.bytes)) {
        return script.fail("{s} is not text: it has {d} bytes that are not all UTF-8.", .{ path, blob.bytes.len });
    }
    nectar.respond(.{ .body = blob.bytes });
}

/// What the file system says; null: it has been reported why there is nothing.
fn ask(path: []const u8, action: []const u8) ?Reply {
    const body = script.ask(.local("vfs:distro:sys"), .{ .path = path, .action = action }) orelse {
        script.fail("the file system does not answer.", .{});
        return null;
    };
    const reply = nectar.json.parse(Reply, body) catch {
        confused();
        return null;
    };
    if (reply != .Err) return reply;
    const problem = nectar.json.parse(Problem, reply.Err.text) catch Problem{ .IOError = .{ .@"error" = reply.Err.text } };
    switch (problem) {
        .NotFound => script.fail("there is no file {s}.", .{path}),
        .ParseError, .IOError => |why| script.fail("{s} cannot be read: {s}.", .{ path, why.@"error" }),
    }
    return null;
}

fn confused() void {
    script.fail("the file system gave an answer that makes no sense.", .{});
}
