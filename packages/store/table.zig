//! The entries of a store, ordered by version: what changed last comes last. So whatever a replica that has version n
//! still lacks is a tail of the list, and applying a tail in order leaves the same list.

const std = @import("std");
const nectar = @import("nectar");

const allocator = nectar.allocator;

pub const Entry = struct { key: []const u8, value: []const u8, version: u64 };

const max_entries = 256;
const max_key_bytes = 100;
const max_value_bytes = 1000;

var entries: std.ArrayList(Entry) = .empty;

pub fn all() []const Entry {
    return entries.items;
}

/// Of the last change; 0: there was none.
pub fn version() u64 {
    return if (entries.getLastOrNull()) |last| last.version else 0;
}

/// What changed after `since`, in order.
pub fn after(since: u64) []const Entry {
    for (entries.items, 0..) |entry, place| if (entry.version > since) return entries.items[place..];
    return &.{};
}

pub fn find(key: []const u8) ?Entry {
    return if (placeOf(key)) |place| entries.items[place] else null;
}

/// Why the two cannot be put; null: they can.
pub fn refusal(key: []const u8, value: []const u8) ?[]const u8 {
    if (key.len == 0 or key.len > max_key_bytes) return "a key has 1 to 100 bytes";
    if (value.len > max_value_bytes) return "a value has at most 1,000 bytes";
    if (entries.items.len >= max_entries and placeOf(key) == null) return "the store is full: it has 256 keys";
    return null;
}

/// Put a copy of `entry`, whose version must be higher than all others.
pub fn put(entry: Entry) !void {
    std.debug.assert(entry.version > version());
    if (placeOf(entry.key)) |place| {
        const older = entries.orderedRemove(place);
        allocator.free(older.key);
        allocator.free(older.value);
    }
    try entries.append(allocator, .{
        .key = try allocator.dupe(u8, entry.key),
        .value = try allocator.dupe(u8, entry.value),
        .version = entry.version,
    });
}

fn placeOf(key: []const u8) ?usize {
    for (entries.items, 0..) |entry, place| if (std.mem.eql(u8, entry.key, key)) return place;
    return null;
}
