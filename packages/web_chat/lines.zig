//! The lines of a chat, ours and those of other nodes, in the order in which they came: the last `max_lines` of them. They
//! are saved with every change, and are there after a restart.

const std = @import("std");
const nectar = @import("nectar");

const allocator = nectar.allocator;

pub const State = enum {
    /// On its way.
    Sent,
    Heard,
    /// It did not get there.
    Offline,
    /// Nobody knows whether it did.
    Timeout,
    /// The chat there does not want it.
    Refused,
};

pub const Line = struct {
    /// Its number among all lines here.
    id: u64,
    /// Whom we talk to: who said it or, if it is ours, for whom it is.
    node: []const u8,
    mine: bool,
    /// Its number among all lines of its author.
    number: u64,
    text: []const u8,
    state: State,
};

const Saved = struct { lines: []const Line = &.{}, last: u64 = 0, said: u64 = 0 };

const max_lines = 200;

var lines: std.ArrayList(Line) = .empty;
/// The id of the last line, and the number of our own last one.
var last: u64 = 0;
var said: u64 = 0;

pub fn load() !void {
    const saved = try nectar.json.parse(Saved, nectar.getState() orelse return);
    last = saved.last;
    said = saved.said;
    for (saved.lines) |line| try lines.append(allocator, try copy(line));
}

fn save() void {
    nectar.setState(nectar.json.stringify(Saved{ .lines = lines.items, .last = last, .said = said }));
}

pub fn all() []const Line {
    return lines.items;
}

/// The number for a further line of ours; `add` saves it.
pub fn next() u64 {
    said += 1;
    return said;
}

pub fn add(node: []const u8, mine: bool, number: u64, text: []const u8, state: State) !Line {
    if (lines.items.len == max_lines) {
        const oldest = lines.orderedRemove(0);
        allocator.free(oldest.node);
        allocator.free(oldest.text);
    }
    last += 1;
    const given: Line = .{ .id = last, .node = node, .mine = mine, .number = number, .text = text, .state = state };
    const line = try copy(given);
    try lines.append(allocator, line);
    save();
    return line;
}

fn copy(line: Line) !Line {
    var own = line;
    own.node = try allocator.dupe(u8, line.node);
    own.text = try allocator.dupe(u8, line.text);
    return own;
}

pub fn find(id: u64) ?*Line {
    for (lines.items) |*line| if (line.id == id) return line;
    return null;
}

/// Whether a line of another node is here.
pub fn has(node: []const u8, number: u64) bool {
    for (lines.items) |line| {
        if (!line.mine and line.number == number and std.mem.eql(u8, line.node, node)) return true;
    }
    return false;
}

pub fn change(line: *Line, state: State) void {
    line.state = state;
    save();
}
