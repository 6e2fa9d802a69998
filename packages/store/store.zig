//! A small key-value store on two nodes: the primary takes what is put, and keeps a replica equal to itself.
//!
//!     {"Lead":{"replica":"two.nec"}}      →  "Ok"      on one.nec, the primary
//!     {"Follow":{"primary":"one.nec"}}    →  "Ok"      on two.nec, the replica
//!     {"Put":{"key":"a","value":"x"}}     →  {"Put":{"version":1,"replicated":true}}      on the primary
//!     {"Get":{"key":"a"}}                 →  {"Value":{"value":"x","version":1}} or "Missing"      on either
//!     "Dump"                              →  {"Dump":{"version":1,"entries":[{"key":"a","value":"x","version":1}]}}
//!
//! A Put is answered when it is durable here and the replica has made it durable (`replicated`), or when it is known
//! that the replica could not be reached, or did not answer in time. Then it is the primary that has to remember: it
//! sends what is missing with the next Put, and every few seconds until there has been an answer.
//!
//! What makes this simple: the replica says in every answer which version it has. So it does not matter which Copy or
//! which answer was lost, or came late; whatever the two have forgotten in a crash, they find where to go on.
//!
//! The whole store is saved with every change (`table.zig` keeps it small), the role with it. To see it: `nectar start
//! packages/store` on two nodes, then `nectar message` to our@store:store:sys.

const std = @import("std");
const nectar = @import("nectar");
const table = @import("table.zig");

const allocator = nectar.allocator;

const Ask = union(enum) {
    // From processes of this node.
    Lead: struct { replica: []const u8 },
    Follow: struct { primary: []const u8 },
    Put: struct { key: []const u8, value: []const u8 },
    Get: struct { key: []const u8 },
    Dump,
    // From the primary: all that changed after the version `after`, in order.
    Copy: struct { after: u64, entries: []const table.Entry },
};

const Answer = union(enum) {
    Ok,
    Put: struct { version: u64, replicated: bool },
    Value: struct { value: []const u8, version: u64 },
    Missing,
    Dump: struct { version: u64, entries: []const table.Entry },
    /// From the replica: it has made all changes up to this version durable, and none after it.
    Copied: struct { version: u64 },
    Err: []const u8,
};

const Role = union(enum) { None, Primary: []const u8, Replica: []const u8 };

/// What is saved. A role's text is the other node.
const Saved = struct { role: Role, entries: []const table.Entry };

/// What comes back with an outcome.
const Context = union(enum) { Copy: Copying, Watch };

/// Why a Copy was sent: so that the replica has the version `wanted`; with `put` somebody waits to hear of it. `again`:
/// it goes on from where the replica said it was.
const Copying = struct { wanted: u64, put: bool, again: bool = false };

const max_name_bytes = 253;
/// Seconds for a Copy: long enough to learn that the replica is Offline.
const patience = 30;
/// Seconds between attempts while the replica is behind.
const watch_every = 5;

var our: nectar.Address = undefined;
var role: Role = .None;
/// What the replica said it has; null: it has not said so in this life of ours.
var confirmed: ?u64 = null;
/// The version up to which everything is on its way to the replica; null: go by `confirmed`.
var sent: ?u64 = null;
/// Whether a timer runs.
var watching = false;

pub fn init(address: nectar.Address) !void {
    our = address;
    if (nectar.getState()) |state| try restore(try nectar.json.parse(Saved, state));
    // An empty Copy is answered with what the replica has.
    if (role == .Primary) copy(table.version(), .{ .wanted = table.version(), .put = false });
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) try handle(request),
        // An outcome puts back the prompt of the Put that caused the Copy, so `reply` answers that Put.
        .response => |response| try outcome(response.context.?, response.body),
        .send_error => |problem| if (problem.of_request) try outcome(problem.context.?, null),
    };
}

fn restore(saved: Saved) !void {
    for (saved.entries) |entry| try table.put(entry);
    role = switch (saved.role) {
        .None => .None,
        .Primary => |replica| .{ .Primary = try allocator.dupe(u8, replica) },
        .Replica => |primary| .{ .Replica = try allocator.dupe(u8, primary) },
    };
}

/// Make durable what there is. If the disk cannot, this process ends here, and nothing has been promised.
fn save() void {
    nectar.setState(nectar.json.stringify(Saved{ .role = role, .entries = table.all() }));
}

const not_understood = "expected {\"Lead\":{\"replica\":NODE}}, {\"Follow\":{\"primary\":NODE}}, " ++
    "{\"Put\":{\"key\":TEXT,\"value\":TEXT}}, {\"Get\":{\"key\":TEXT}} or \"Dump\"";

fn handle(request: nectar.Request) !void {
    const ask = nectar.json.parse(Ask, request.body) catch return reply(.{ .Err = not_understood });
    const node = request.source.node;
    if (ask == .Copy) {
        if (role != .Replica or !std.mem.eql(u8, role.Replica, node)) return reply(.{ .Err = "we do not follow you" });
        return apply(ask.Copy.after, ask.Copy.entries);
    }
    if (!std.mem.eql(u8, node, our.node)) return reply(.{ .Err = "only processes of this node may ask this" });
    switch (ask) {
        .Lead => |lead| try take(.{ .Primary = lead.replica }),
        .Follow => |follow| try take(.{ .Replica = follow.primary }),
        .Put => |wanted| try put(wanted.key, wanted.value),
        .Get => |wanted| reply(if (table.find(wanted.key)) |entry|
            .{ .Value = .{ .value = entry.value, .version = entry.version } }
        else
            .Missing),
        .Dump => reply(.{ .Dump = .{ .version = table.version(), .entries = table.all() } }),
        .Copy => unreachable, // handled above
    }
}

/// A role is for good: two stores that have each gone their own way could not be made equal without a loss.
fn take(wanted: Role) !void {
    const other = switch (wanted) {
        .None => unreachable, // nobody can ask for it
        .Primary, .Replica => |node| node,
    };
    if (other.len == 0 or other.len > max_name_bytes) return reply(.{ .Err = "that is not a node's name" });
    if (std.mem.eql(u8, other, our.node)) return reply(.{ .Err = "the two must be different nodes" });
    switch (role) {
        .None => {
            try restore(.{ .role = wanted, .entries = &.{} });
            save();
        },
        .Primary => |replica| if (wanted != .Primary or !std.mem.eql(u8, replica, other)) {
            return reply(.{ .Err = nectar.format("this is the primary of {s} already", .{replica}) });
        },
        .Replica => |primary| if (wanted != .Replica or !std.mem.eql(u8, primary, other)) {
            return reply(.{ .Err = nectar.format("this is the replica of {s} already", .{primary}) });
        },
    }
    reply(.Ok);
}

// The primary's part.

fn put(key: []const u8, value: []const u8) !void {
    switch (role) {
        .None => return reply(.{ .Err = "this node has no role yet: ask it to Lead or to Follow" }),
        .Replica => |primary| return reply(.{ .Err = nectar.format("this is the replica: put to {s}", .{primary}) }),
        .Primary => {},
    }
    if (table.refusal(key, value)) |reason| return reply(.{ .Err = reason });
    const before = table.version();
    try table.put(.{ .key = key, .value = value, .version = before + 1 });
    save();
    copy(sent orelse confirmed orelse before, .{ .wanted = before + 1, .put = true });
}

/// Send all that changed after the version `after`.
fn copy(after: u64, why: Copying) void {
    sent = table.version();
    nectar.send(.{
        .target = .{ .node = role.Primary, .process = our.process },
        .body = nectar.json.stringify(Ask{ .Copy = .{ .after = after, .entries = table.after(after) } }),
        .expects_response = patience,
        .context = nectar.json.stringify(Context{ .Copy = why }),
    });
}

/// What came of a Copy or of the timer; null: an error.
fn outcome(text: []const u8, body: ?[]const u8) !void {
    switch (try nectar.json.parse(Context, text)) {
        .Copy => |why| if (copied(body)) |version| {
            confirmed = version;
            if (version >= why.wanted) return told(why, true);
            // It lacks more than we thought: an earlier Copy never arrived.
            if (!why.again) return copy(version, .{ .wanted = why.wanted, .put = why.put, .again = true });
            failed(why);
        } else failed(why),
        .Watch => {
            watching = false;
            const version = table.version();
            if (confirmed != version) copy(confirmed orelse version, .{ .wanted = version, .put = false });
        },
    }
}

const FromReplica = union(enum) { Copied: struct { version: u64 }, Err: []const u8 };

/// The version that the replica says it has.
fn copied(body: ?[]const u8) ?u64 {
    switch (nectar.json.parse(FromReplica, body orelse return null) catch return null) {
        .Copied => |has| {
            if (has.version <= table.version()) return has.version;
            nectar.print(0, "{s} has changes that are not ours: it is left alone", .{role.Primary});
        },
        .Err => |reason| nectar.print(1, "{s} takes no copy: {s}", .{ role.Primary, reason }),
    }
    return null;
}

fn failed(why: Copying) void {
    sent = null;
    told(why, false);
    if (watching) return;
    watching = true;
    nectar.send(.{
        .target = .local("timer:distro:sys"),
        .body = std.fmt.comptimePrint("{{\"SetTimer\":{d}}}", .{watch_every * 1000}),
        .expects_response = 2 * watch_every,
        .context = nectar.json.stringify(Context.Watch),
    });
}

fn told(why: Copying, replicated: bool) void {
    if (why.put) reply(.{ .Put = .{ .version = why.wanted, .replicated = replicated } });
}

// The replica's part.

/// Take over what is new to us, unless something is missing before it, and say how far we are.
fn apply(after: u64, entries: []const table.Entry) !void {
    const before = table.version();
    if (after <= before) for (entries) |entry| {
        if (entry.version <= table.version()) continue; // it has come before
        if (table.refusal(entry.key, entry.value) != null) break; // the primary would not have taken it either
        try table.put(entry);
    };
    if (table.version() > before) save();
    reply(.{ .Copied = .{ .version = table.version() } });
}

fn reply(answer: Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
