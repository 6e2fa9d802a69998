//! The node's random bytes; in a simulation they come from its seed. `nectar.random.source.int(u32)`.

const std = @import("std");

/// All that `std.Random` has: `int`, `float`, `intRangeLessThan`, `shuffle`.
pub const source: std.Random = .{ .ptr = undefined, .fillFn = fillFrom };

fn fillFrom(_: *anyopaque, bytes: []u8) void {
    fill(bytes);
}

/// Fill with the node's random bytes.
pub fn fill(bytes: []u8) void {
    if (bytes.len > 0 and randomGet(bytes.ptr, bytes.len) != 0) @panic("the node gives no random bytes");
}

const randomGet = @extern(
    *const fn (ptr: [*]u8, len: usize) callconv(.c) u32,
    .{ .name = "random_get", .library_name = "wasi_snapshot_preview1" },
);
