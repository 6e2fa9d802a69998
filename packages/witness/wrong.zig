//! What should never happen and did: a sentence for each, up to a bound, then only their number.

const std = @import("std");
const nectar = @import("nectar");

const max_sentences = 100;
const max_bytes = 600;

var sentences: std.ArrayList([]const u8) = .empty;
pub var left_out: u64 = 0;

pub fn say(comptime template: []const u8, args: anytype) void {
    const sentence = nectar.format(template, args);
    nectar.print(0, "{s}", .{sentence});
    if (sentences.items.len == max_sentences) {
        left_out += 1;
        return;
    }
    const kept = nectar.allocator.dupe(u8, sentence[0..@min(sentence.len, max_bytes)]) catch @panic("out of memory");
    sentences.append(nectar.allocator, kept) catch @panic("out of memory");
}

pub fn all() []const []const u8 {
    return sentences.items;
}

pub fn forget() void {
    for (sentences.items) |sentence| nectar.allocator.free(sentence);
    sentences.clearRetainingCapacity();
    left_out = 0;
}
