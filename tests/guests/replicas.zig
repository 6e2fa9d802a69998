//! A counter on one node that tells its replicas on others, as one may write it. `hasty` is a mistake that one may make.
//!
//!     {"Start":{"replicas":["b.nec","c.nec"],"hasty":false}}  →  "Started"       on the node that counts
//!     {"Add":1}  →  {"Added":{"count":1,"replicated":true}}      when all replicas have it; hasty: when the first one has
//!     "Read"     →  {"Count":1}                                   on any node

const std = @import("std");
const nectar = @import("nectar");

const allocator = nectar.allocator;

const Ask = union(enum) {
    Start: struct { replicas: []const []const u8, hasty: bool },
    Add: u64,
    Read,
    /// From the node that counts.
    Copy: u64,
};

const Answer = union(enum) {
    Started,
    Added: struct { count: u64, replicated: bool },
    Count: u64,
    Copied,
    Err: []const u8,
};

const Saved = struct { count: u64 = 0, replicas: []const []const u8 = &.{}, hasty: bool = false };

/// An addition of which not all replicas have said something.
const Addition = struct { count: u64, waits_for: usize, missed: bool = false, answered: bool = false };

/// Seconds that a replica has.
const patience = 10;

var saved: Saved = .{};
var additions: std.ArrayList(Addition) = .empty;

pub fn init(our: nectar.Address) !void {
    if (nectar.getState()) |state| saved = try nectar.json.parse(Saved, state);
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) try handle(our, request),
        .response => |response| try told(response.context.?, true),
        .send_error => |failed| if (failed.of_request) try told(failed.context.?, false),
    };
}

fn handle(our: nectar.Address, request: nectar.Request) !void {
    switch (nectar.json.parse(Ask, request.body) catch return reply(.{ .Err = "I know Start, Add and Read" })) {
        .Start => |start| {
            const replicas = try allocator.alloc([]const u8, start.replicas.len);
            for (start.replicas, replicas) |node, *kept| kept.* = try allocator.dupe(u8, node);
            saved = .{ .count = saved.count, .replicas = replicas, .hasty = start.hasty };
            save();
            reply(.Started);
        },
        .Add => |amount| try add(our, amount),
        .Read => reply(.{ .Count = saved.count }),
        .Copy => |count| {
            saved.count = @max(saved.count, count);
            save();
            reply(.Copied);
        },
    }
}

fn add(our: nectar.Address, amount: u64) !void {
    saved.count += amount;
    save();
    try additions.append(allocator, .{ .count = saved.count, .waits_for = saved.replicas.len });
    for (saved.replicas) |node| nectar.send(.{
        .target = .{ .node = node, .process = our.process },
        .body = nectar.json.stringify(Ask{ .Copy = saved.count }),
        .expects_response = patience,
        .context = nectar.json.stringify(saved.count),
    });
}

/// One replica has a count, or nobody knows.
fn told(context: []const u8, has: bool) !void {
    const count = try nectar.json.parse(u64, context);
    for (additions.items, 0..) |*each, place| if (each.count == count) {
        each.waits_for -= 1;
        if (!has) each.missed = true;
        const enough = each.waits_for == 0 or (saved.hasty and has);
        if (enough and !each.answered) {
            each.answered = true;
            reply(.{ .Added = .{ .count = count, .replicated = saved.hasty or !each.missed } });
        }
        if (each.waits_for == 0) _ = additions.orderedRemove(place);
        return;
    };
}

fn save() void {
    nectar.setState(nectar.json.stringify(saved));
}

fn reply(answer: Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
