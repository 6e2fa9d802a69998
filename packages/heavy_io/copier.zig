//! Copies one file, compares the hashes, and ends. It is written as if nothing else existed: each step waits for the
//! one before.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");

const chunk_bytes = 1 << 20;
/// Seconds that the disk has for one step; a hash reads the whole file.
const step_seconds = 600;
const hash_seconds = 12 * 3600;

const Action = union(enum) {
    Metadata,
    OpenFile: struct { create: bool },
    SetLen: u64,
    ReadAt: struct { offset: u64, length: u64 },
    WriteAt: struct { offset: u64 },
    SyncAll,
    Hash,
};

const Reply = union(enum) {
    Ok,
    Read,
    Metadata: struct { len: u64 },
    Hash: [32]u8,
    Err: nectar.json.Raw,
};

const Failure = error{ Disk, Confused };

/// What the disk said when it failed.
var complaint: []const u8 = "";

pub fn init(our: nectar.Address) !void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.source.samePackage(our)) {
            const order = nectar.json.parse(protocol.Ask, request.body) catch continue;
            return copy(try request.source.dupe(nectar.allocator), .{
                .from = try nectar.allocator.dupe(u8, order.Run.from),
                .to = try nectar.allocator.dupe(u8, order.Run.to),
            });
        },
        .response, .send_error => {},
    };
}

fn copy(main: nectar.Address, run: protocol.Run) void {
    const answer: protocol.Answer = if (copyAll(main, run)) |ran| ran else |failure| .{ .Err = switch (failure) {
        error.Disk => nectar.format("the disk says: {s}", .{complaint}),
        error.Confused => "the copy has another hash, or the file system gave an answer that makes no sense",
    } };
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}

fn copyAll(main: nectar.Address, run: protocol.Run) Failure!protocol.Answer {
    const size = switch (try ask(run.from, .Metadata)) {
        .Metadata => |metadata| metadata.len,
        else => return error.Confused,
    };
    _ = try ask(run.to, .{ .OpenFile = .{ .create = true } });
    _ = try ask(run.to, .{ .SetLen = 0 });
    var offset: u64 = 0;
    while (offset < size) : (offset += chunk_bytes) {
        const length = @min(chunk_bytes, size - offset);
        if (try ask(run.from, .{ .ReadAt = .{ .offset = offset, .length = length } }) != .Read) return error.Confused;
        // The answer's blob is now the current one, and the next request inherits it.
        _ = try ask(run.to, .{ .WriteAt = .{ .offset = offset } });
        report(main, length);
        nectar.reset();
    }
    _ = try ask(run.to, .SyncAll);
    const hashes = .{ try ask(run.from, .Hash), try ask(run.to, .Hash) };
    if (hashes[0] != .Hash or hashes[1] != .Hash) return error.Confused;
    if (!std.mem.eql(u8, &hashes[0].Hash, &hashes[1].Hash)) return error.Confused;
    return .{ .Ran = .{ .bytes = size, .hash = nectar.format("{x}", .{&hashes[0].Hash}) } };
}

/// One step, from order to outcome.
fn ask(path: []const u8, action: Action) Failure!Reply {
    const outcome = nectar.sendAndAwait(.{
        .target = .local("vfs:distro:sys"),
        .body = nectar.json.stringify(.{ .path = path, .action = action }),
        .expects_response = if (action == .Hash) hash_seconds else step_seconds,
        .inherit = true,
    });
    if (outcome == .send_error) return fail("it does not answer");
    const reply = nectar.json.parse(Reply, outcome.response.body) catch return error.Confused;
    return if (reply == .Err) fail(reply.Err.text) else reply;
}

fn fail(text: []const u8) Failure {
    complaint = text;
    return error.Disk;
}

fn report(main: nectar.Address, bytes: u64) void {
    const message: protocol.Ask = .{ .Report = .{ .bytes = bytes } };
    nectar.send(.{ .target = main, .body = nectar.json.stringify(message) });
}
