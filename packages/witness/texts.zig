//! Lists of names that outlive a message.

const std = @import("std");
const nectar = @import("nectar");

const allocator = nectar.allocator;

pub fn keep(text: []const u8) []const u8 {
    return allocator.dupe(u8, text) catch @panic("out of memory");
}

pub fn keepAll(list: []const []const u8) []const []const u8 {
    const kept = allocator.alloc([]const u8, list.len) catch @panic("out of memory");
    for (kept, list) |*to, from| to.* = keep(from);
    return kept;
}

pub fn freeAll(list: []const []const u8) void {
    for (list) |text| allocator.free(text);
    allocator.free(list);
}

pub fn same(a: []const []const u8, b: []const []const u8) bool {
    return a.len == b.len and startsWith(a, b);
}

/// Whether `list` begins with all of `beginning`.
pub fn startsWith(list: []const []const u8, beginning: []const []const u8) bool {
    if (beginning.len > list.len) return false;
    for (beginning, list[0..beginning.len]) |wanted, text| if (!std.mem.eql(u8, wanted, text)) return false;
    return true;
}

/// `list` and one more, until the next message.
pub fn with(list: []const []const u8, last: []const u8) []const []const u8 {
    const longer = nectar.arena().alloc([]const u8, list.len + 1) catch @panic("out of memory");
    @memcpy(longer[0..list.len], list);
    longer[list.len] = last;
    return longer;
}

/// Whether none is longer than `bytes`.
pub fn allWithin(list: []const []const u8, bytes: usize) bool {
    for (list) |text| if (text.len > bytes) return false;
    return true;
}
