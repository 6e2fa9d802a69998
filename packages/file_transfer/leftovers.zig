//! Partial files that nobody writes: what interrupted transfers have left, so that later ones go on from there.
//!
//! Nobody piles them up: those of one node are bounded in number and bytes, all together in number, and what nobody has
//! gone on with for a week is given up. The oldest goes first. They also make room for files that are offered, see
//! `makeRoom`.

const std = @import("std");
const nectar = @import("nectar");
const inbox = @import("inbox.zig");
const protocol = @import("protocol.zig");
const vfs = nectar.vfs;

/// Of one node.
const max_of_node = 64;
/// Of all.
const max_all = 1024;
/// Nanoseconds; an older one is given up.
const max_age: i64 = 7 * 24 * 3600 * std.time.ns_per_s;

const Leftover = struct {
    path: []const u8,
    bytes: u64,
    modified: i64,

    /// See `inbox.ownerMark`; empty for one of an older version.
    fn owner(self: Leftover) []const u8 {
        const name = self.path[std.mem.lastIndexOfScalar(u8, self.path, '/').? + 1 ..];
        return name[0 .. std.mem.indexOfScalar(u8, name, '-') orelse 0];
    }

    fn isOf(self: Leftover, mark: []const u8) bool {
        return std.mem.eql(u8, self.owner(), mark);
    }
};

var list: std.ArrayList(Leftover) = .empty;
var loaded = false;

/// Learn what there is, until there was something. `written` tells whether a transfer writes that file.
pub fn load(our: nectar.ProcessId, written: *const fn ([]const u8) bool) !void {
    if (loaded) return;
    const folder = inbox.partialFolder(our);
    var last: ?vfs.Entry = null;
    while (true) switch (vfs.page(folder, last)) {
        .ReadDir => |entries| {
            if (entries.len == 0) break;
            for (entries) |entry| {
                const path = nectar.format("{s}/{s}", .{ folder, entry.name() }); // an entry's has no first slash
                if (written(inbox.packedPath(path))) continue;
                switch (entry.file_type) {
                    .File => try add(path),
                    .Directory => removeFolder(path),
                    else => {},
                }
            }
            last = entries[entries.len - 1];
        },
        else => |reply| return nectar.print(0, "cannot list the partial files: {s}", .{reply.problem().text}),
    };
    if (clock.len == 0) clock = try nectar.allocator.dupe(u8, nectar.format("{s}/.now", .{folder}));
    loaded = last != null;
}

/// Whether there are any.
pub fn any() bool {
    return list.items.len > 0;
}

/// Where a file is made and removed to learn what time it is.
var clock: []const u8 = "";

/// Nanoseconds, by the clock that gives files their times; null: that cannot be told now.
fn now() ?i64 {
    if (clock.len == 0 or vfs.ask(clock, .CreateFile) != .Ok) return null;
    defer remove(clock);
    return switch (vfs.ask(clock, .Metadata)) {
        .Metadata => |file| file.modified,
        else => null,
    };
}

/// Bytes that are there of the file at `path`.
pub fn has(path: []const u8) u64 {
    for (list.items) |leftover| if (std.mem.eql(u8, leftover.path, path)) return leftover.bytes;
    return 0;
}

/// A transfer writes it now.
pub fn take(path: []const u8) void {
    for (list.items, 0..) |leftover, i| if (std.mem.eql(u8, leftover.path, path)) return forget(i);
}

/// A transfer writes it no more. `max_bytes`: of one node.
pub fn leave(path: []const u8, max_bytes: u64) !void {
    try add(path);
    trim(max_bytes);
}

fn add(path: []const u8) !void {
    take(path);
    const file = switch (vfs.ask(path, .Metadata)) {
        .Metadata => |file| file,
        else => return, // it got its name, or there never was one
    };
    if (file.len == 0) return remove(path);
    const kept = try nectar.allocator.dupe(u8, path);
    try list.append(nectar.allocator, .{ .path = kept, .bytes = file.len, .modified = file.modified });
}

/// Remove what is too much.
pub fn trim(max_bytes: u64) void {
    if (!any()) return;
    var newest: i64 = now() orelse std.math.minInt(i64);
    for (list.items) |leftover| newest = @max(newest, leftover.modified);
    var i: usize = 0;
    while (i < list.items.len) {
        if (newest -| list.items[i].modified > max_age) drop(i) else i += 1;
    }
    i = 0;
    while (i < list.items.len) {
        const mark = list.items[i].owner();
        const sum = held(mark);
        if (sum.count <= max_of_node and sum.bytes <= max_bytes) i += 1 else drop(oldest(mark, "").?);
    }
    while (list.items.len > max_all) drop(oldest(list.items[largest(null, "").?].owner(), "").?);
}

/// Bytes that `makeRoom` could make.
pub fn reclaimable(mark: []const u8, holds: u64, except: []const u8) u64 {
    var sum: u64 = 0;
    for (list.items) |leftover| {
        if (std.mem.eql(u8, leftover.path, except)) continue;
        if (leftover.isOf(mark) or held(leftover.owner()).bytes > holds) sum +|= leftover.bytes;
    }
    return sum;
}

/// Remove so many bytes, if there are: of the node that left most, the oldest first. Those of a node that left no more
/// than the `holds` bytes that the one with `mark` is to have stay, unless they are its own; so does `except`.
pub fn makeRoom(bytes: u64, mark: []const u8, holds: u64, except: []const u8) void {
    var made: u64 = 0;
    while (made < bytes) {
        const i = largest(holds, except) orelse oldest(mark, except) orelse return;
        const victim = oldest(list.items[i].owner(), except).?;
        made +|= list.items[victim].bytes;
        drop(victim);
    }
}

const Sum = struct { count: usize = 0, bytes: u64 = 0 };

fn held(mark: []const u8) Sum {
    var sum: Sum = .{};
    for (list.items) |leftover| if (leftover.isOf(mark)) {
        sum.count += 1;
        sum.bytes +|= leftover.bytes;
    };
    return sum;
}

/// One of the node that holds most bytes, or where that is null, most files; of those that hold more than `above`.
fn largest(above: ?u64, except: []const u8) ?usize {
    var found: ?usize = null;
    var most: u64 = above orelse 0;
    for (list.items, 0..) |leftover, i| {
        if (std.mem.eql(u8, leftover.path, except)) continue;
        const sum = held(leftover.owner());
        const size = if (above == null) sum.count else sum.bytes;
        if (size <= most) continue;
        most = size;
        found = i;
    }
    return found;
}

fn oldest(mark: []const u8, except: []const u8) ?usize {
    var found: ?usize = null;
    for (list.items, 0..) |leftover, i| {
        if (!leftover.isOf(mark) or std.mem.eql(u8, leftover.path, except)) continue;
        if (found == null or leftover.modified < list.items[found.?].modified) found = i;
    }
    return found;
}

fn drop(i: usize) void {
    remove(list.items[i].path);
    forget(i);
}

fn forget(i: usize) void {
    nectar.allocator.free(list.orderedRemove(i).path);
}

/// What was unpacked of that packed folder, if anything was.
pub fn removeUnpacked(partial: []const u8) void {
    const unpacked = inbox.unpackedPath(partial);
    if (vfs.ask(unpacked, .Metadata) == .Metadata) removeFolder(unpacked);
}

/// What was unpacked of a packed folder, and never got its name. Nobody waits for that.
pub fn removeFolder(path: []const u8) void {
    vfs.start(path, .RemoveDirAll, protocol.timeout.hash, protocol.Context.of(.unpack), false);
}

fn remove(path: []const u8) void {
    const removed = vfs.ask(path, .RemoveFile);
    if (removed != .Ok) nectar.print(1, "cannot remove {s}: {s}", .{ path, removed.problem().text });
}
