//! Says which processes are there: a list of ids, `["chess:chess:sys",…]`, is answered with those of them that are.
//!
//! It asks the kernel, whose capability it holds, and does nothing else with it.

const std = @import("std");
const nectar = @import("nectar");

/// More than the homepage has entries.
const max_ids = 1024;
/// Seconds for the kernel, which answers at once.
const patience = 10;

const Debug = union(enum) { Debug: struct { HasCap: ?bool } };

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) {
            nectar.respond(.{ .body = nectar.json.stringify(present(our, request.body)) });
        },
        .response, .send_error => {},
    };
}

fn present(our: nectar.Address, body: []const u8) []const []const u8 {
    const ids = nectar.json.parse([]const []const u8, body) catch return &.{};
    var found: std.ArrayList([]const u8) = .empty;
    for (ids[0..@min(ids.len, max_ids)]) |id| if (!isGone(our, id)) {
        found.append(nectar.arena(), id) catch @panic("out of memory");
    };
    return found.items;
}

/// Whether the kernel knows no such process: asked whether it has some capability, it says so, or null.
fn isGone(our: nectar.Address, id: []const u8) bool {
    const asked = .{ .Debug = .{ .HasCap = .{
        .on = id,
        .cap = .{ .issuer = nectar.format("{f}", .{our}), .params = "null" },
    } } };
    return switch (nectar.sendAndAwait(.{
        .target = .local("kernel:distro:sys"),
        .body = nectar.json.stringify(asked),
        .expects_response = patience,
    })) {
        .response => |response| if (nectar.json.parse(Debug, response.body)) |answer| answer.Debug.HasCap == null else |_| false,
        .send_error => false,
    };
}
