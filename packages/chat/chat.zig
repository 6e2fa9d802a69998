//! A chat among nodes: a line goes to every other member, and whoever said it is told who heard it and who missed it.
//!
//!     {"Join":{"members":["one.nec","two.nec"]}}  →  "Joined"      on every member; kept over a restart
//!     {"Say":"hello"}  →  {"Said":{"number":1,"heard":["two.nec"],"missed":[]}}
//!     {"Say":"hello"}  →  {"Said":{"number":2,"heard":[],"missed":[{"node":"two.nec","kind":"Offline"}]}}
//!     "History"        →  {"History":[{"author":"one.nec","number":1,"text":"hello","wrong":null}]}
//!
//! Said comes when the outcome for every member is known; meanwhile more can be said. `missed` means that nobody knows:
//! the line may have been heard, and only the word of it was lost.
//!
//! A member hears the lines of an author in the order in which they were said, each at most once, whatever happens to
//! the connection. This process relies on that; it also checks it, by the numbers, and says in `wrong` what it finds. So
//! that they only ever grow, the last number is saved before the line leaves the node.
//!
//! To see it: `nectar start packages/chat` on two nodes, then `nectar message` to our@chat:chat:sys, with `--timeout 35`
//! for a member that may not answer.

const std = @import("std");
const nectar = @import("nectar");
const history = @import("history.zig");

const allocator = nectar.allocator;

const Ask = union(enum) {
    // From processes of this node.
    Join: struct { members: []const []const u8 },
    Say: []const u8,
    History,
    // From chats on other nodes. Who says it is not in it: the kernel knows.
    Line: struct { number: u64, text: []const u8 },
};

const Answer = union(enum) {
    Joined,
    Said: struct { number: u64, heard: []const []const u8, missed: []const Missed },
    History: []const history.Line,
    Heard,
    Err: []const u8,
};

/// Refused: its chat has not joined, or not with us.
const Missed = struct { node: []const u8, kind: enum { Offline, Timeout, Refused } };

/// A line of ours of which not all outcomes are known. `heard` and `missed` borrow the names of members.
const Saying = struct {
    number: u64,
    waits_for: usize,
    heard: std.ArrayList([]const u8) = .empty,
    missed: std.ArrayList(Missed) = .empty,
};

/// What comes back with the outcome of a line: the number of the line, and the place in `members` of who was told.
const Context = struct { number: u64, member: u8 };

/// What is saved: who is in the chat, and the number of our last line.
const Saved = struct { members: []const []const u8 = &.{}, said: u64 = 0 };

const max_members = 32;
const max_name_bytes = 253;
const max_text_bytes = 1000;
const max_sayings = 64;
/// Seconds for one line to one member: long enough to learn that a node is Offline.
const patience = 30;

var our: nectar.Address = undefined;
/// The nodes other than this one.
var members: std.ArrayList([]const u8) = .empty;
var said: u64 = 0;
var sayings: std.ArrayList(Saying) = .empty;

pub fn init(address: nectar.Address) !void {
    our = address;
    if (nectar.getState()) |state| {
        const saved = try nectar.json.parse(Saved, state);
        said = saved.said;
        try adopt(saved.members);
    }
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) try handle(request),
        // An outcome puts back the prompt under which the line was sent: `reply` goes to whoever said it.
        .response => |response| try outcome(response.context.?, if (heard(response.body)) null else .Refused),
        .send_error => |failed| if (failed.of_request) {
            try outcome(failed.context.?, if (failed.kind == .offline) .Offline else .Timeout);
        },
    };
}

const not_understood = "expected {\"Join\":{\"members\":[NODE,…]}}, {\"Say\":TEXT} or \"History\"";
const not_for_others = "only processes of this node may ask this";

fn handle(request: nectar.Request) !void {
    const ask = nectar.json.parse(Ask, request.body) catch return reply(.{ .Err = not_understood });
    if (ask == .Line) {
        const member = memberOf(request.source.node) orelse return reply(.{ .Err = "you are not a member of this chat" });
        if (ask.Line.text.len > max_text_bytes) return reply(.{ .Err = "the line is too long" });
        try history.hear(member, ask.Line.number, ask.Line.text);
        return reply(.Heard);
    }
    if (!std.mem.eql(u8, request.source.node, our.node)) return reply(.{ .Err = not_for_others });
    switch (ask) {
        .Join => |wanted| try join(wanted.members),
        .Say => |text| try say(text),
        .History => reply(.{ .History = history.all() }),
        .Line => unreachable, // handled above
    }
}

fn join(nodes: []const []const u8) !void {
    if (nodes.len > max_members) return reply(.{ .Err = "a chat has at most 32 members" });
    for (nodes) |node| if (node.len == 0 or node.len > max_name_bytes) {
        return reply(.{ .Err = "a member is not a node's name" });
    };
    if (sayings.items.len > 0) return reply(.{ .Err = "lines are under way; join when they have arrived" });
    try adopt(nodes);
    save();
    reply(.Joined);
}

/// Make `nodes`, but for this one and repetitions, the members.
fn adopt(nodes: []const []const u8) !void {
    const before = members;
    members = .empty;
    for (nodes) |node| {
        if (std.mem.eql(u8, node, our.node) or memberOf(node) != null) continue;
        try members.append(allocator, try allocator.dupe(u8, node));
    }
    for (before.items) |node| allocator.free(node);
    var list = before;
    list.deinit(allocator);
}

/// The member of that name, in our own copy of it.
fn memberOf(node: []const u8) ?[]const u8 {
    for (members.items) |member| if (std.mem.eql(u8, member, node)) return member;
    return null;
}

fn save() void {
    nectar.setState(nectar.json.stringify(Saved{ .members = members.items, .said = said }));
}

fn say(text: []const u8) !void {
    if (text.len > max_text_bytes) return reply(.{ .Err = "a line has at most 1,000 bytes" });
    if (sayings.items.len >= max_sayings) return reply(.{ .Err = "too many lines are under way; say it again later" });
    said += 1;
    save();
    try history.add(our.node, said, text);
    if (members.items.len == 0) return reply(.{ .Said = .{ .number = said, .heard = &.{}, .missed = &.{} } });
    try sayings.append(allocator, .{ .number = said, .waits_for = members.items.len });
    for (members.items, 0..) |node, place| nectar.send(.{
        .target = .{ .node = node, .process = our.process },
        .body = nectar.json.stringify(Ask{ .Line = .{ .number = said, .text = text } }),
        .expects_response = patience,
        .context = nectar.json.stringify(Context{ .number = said, .member = @intCast(place) }),
    });
}

fn heard(body: []const u8) bool {
    const answer = nectar.json.parse(union(enum) { Heard, Err: nectar.json.Raw }, body) catch return false;
    return answer == .Heard;
}

/// One member heard a line of ours (`missed` is null) or did not; the last outcome answers the Say.
fn outcome(context: []const u8, missed: ?@FieldType(Missed, "kind")) !void {
    const line = try nectar.json.parse(Context, context);
    const node = members.items[line.member];
    for (sayings.items, 0..) |*saying, place| if (saying.number == line.number) {
        if (missed) |kind| {
            try saying.missed.append(allocator, .{ .node = node, .kind = kind });
        } else try saying.heard.append(allocator, node);
        saying.waits_for -= 1;
        if (saying.waits_for == 0) finish(place);
        return;
    };
}

fn finish(place: usize) void {
    var saying = sayings.orderedRemove(place);
    defer saying.heard.deinit(allocator);
    defer saying.missed.deinit(allocator);
    reply(.{ .Said = .{ .number = saying.number, .heard = saying.heard.items, .missed = saying.missed.items } });
}

fn reply(answer: Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
