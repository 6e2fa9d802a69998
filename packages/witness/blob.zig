//! Bytes that follow from who sends them and which they are, so that a receiver knows what must have come.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");

/// The blob of a Note, which lives until the next message; null: it has none.
pub fn of(note: protocol.Note) ?nectar.Blob {
    if (note.blob == 0) return null;
    const bytes = nectar.arena().alloc(u8, note.blob) catch @panic("out of memory");
    var stream: Stream = .init(note);
    for (bytes) |*byte| byte.* = stream.next();
    return .{ .bytes = bytes };
}

/// What is wrong with the blob that came with a Note; null: nothing.
pub fn fault(note: protocol.Note, came: ?nectar.Blob) ?[]const u8 {
    const blob = came orelse return if (note.blob == 0) null else "has lost its blob";
    if (note.blob == 0) return "has a blob that nobody sent";
    if (blob.bytes.len != note.blob)
        return nectar.format("has a blob of {d} instead of {d} bytes", .{ blob.bytes.len, note.blob });
    var stream: Stream = .init(note);
    for (blob.bytes, 0..) |byte, i| if (byte != stream.next())
        return nectar.format("has a blob whose byte {d} is wrong", .{i});
    return null;
}

/// SplitMix64, seeded with an FNV-1a hash; a byte from each step.
const Stream = struct {
    state: u64,

    fn init(note: protocol.Note) Stream {
        var hash: u64 = 0xcbf29ce484222325;
        for ([_][]const u8{ note.author, "/", note.run }) |text| for (text) |byte| {
            hash = (hash ^ byte) *% 0x100000001b3;
        };
        return .{ .state = hash +% note.number };
    }

    fn next(self: *Stream) u8 {
        self.state +%= 0x9e3779b97f4a7c15;
        var mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)) *% 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) *% 0x94d049bb133111eb;
        return @truncate(mixed >> 56);
    }
};
