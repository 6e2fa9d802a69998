//! The lines of a chat in the order in which they came: the last `max_lines` of them, until the process ends.

const std = @import("std");
const nectar = @import("nectar");

const allocator = nectar.allocator;

pub const Line = struct {
    author: []const u8,
    number: u64,
    text: []const u8,
    /// Twice: the line was heard before. Late: a later one of its author was. Neither may ever happen.
    wrong: ?enum { Twice, Late } = null,
};

const max_lines = 1000;

var lines: std.ArrayList(Line) = .empty;

pub fn all() []const Line {
    return lines.items;
}

/// A line of another node has come.
pub fn hear(author: []const u8, number: u64, text: []const u8) !void {
    try add(author, number, text);
    const new = &lines.items[lines.items.len - 1];
    for (lines.items[0 .. lines.items.len - 1]) |line| if (std.mem.eql(u8, line.author, author)) {
        if (line.number == number) new.wrong = .Twice;
        if (line.number > number and new.wrong == null) new.wrong = .Late;
    };
}

pub fn add(author: []const u8, number: u64, text: []const u8) !void {
    if (lines.items.len == max_lines) {
        const oldest = lines.orderedRemove(0);
        allocator.free(oldest.author);
        allocator.free(oldest.text);
    }
    try lines.append(allocator, .{
        .author = try allocator.dupe(u8, author),
        .number = number,
        .text = try allocator.dupe(u8, text),
    });
}
