//! The Notes that came to us: how many of each author, run and way, in which order, and what was wrong with them.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");
const texts = @import("texts.zig");
const wrong = @import("wrong.zig");

const allocator = nectar.allocator;

/// Each has at most `max_count` bits beside its names.
const max_rows = 512;

var rows: std.ArrayList(Row) = .empty;
pub var left_out: u64 = 0;

const Row = struct {
    run: []const u8,
    author: []const u8,
    trail: []const []const u8,
    noted: u32 = 0,
    passed: u32 = 0,
    returned: u32 = 0,
    lost: u32 = 0,
    last: u32 = 0,
    highest: u32 = 0,
    doubled: u32 = 0,
    disordered: u32 = 0,
    seen: std.DynamicBitSetUnmanaged = .{},

    fn init(note: protocol.Note) Row {
        return .{ .run = texts.keep(note.run), .author = texts.keep(note.author), .trail = texts.keepAll(note.trail) };
    }

    fn deinit(self: *Row) void {
        allocator.free(self.run);
        allocator.free(self.author);
        texts.freeAll(self.trail);
        self.seen.deinit(allocator);
    }

    fn holds(self: Row, note: protocol.Note) bool {
        return std.mem.eql(u8, self.run, note.run) and std.mem.eql(u8, self.author, note.author) and
            texts.same(self.trail, note.trail);
    }

    fn count(self: *Row, note: protocol.Note) void {
        const number = note.number;
        if (number >= self.seen.bit_length) self.grow(number);
        if (self.seen.isSet(number)) {
            self.doubled += 1;
            wrong.say("{f} came twice", .{note});
        } else if (number < self.highest) {
            self.disordered += 1;
            wrong.say("{f} came after {d}", .{ note, self.highest });
        }
        self.seen.set(number);
        self.last = number;
        self.highest = @max(self.highest, number);
    }

    fn grow(self: *Row, number: u32) void {
        const bits = @max(1024, std.math.ceilPowerOfTwoAssert(u32, number + 1));
        self.seen.resize(allocator, bits, false) catch @panic("out of memory");
    }

    fn report(self: Row) protocol.Noted {
        const note: protocol.Note = .{ .run = self.run, .author = self.author, .number = 0, .trail = self.trail };
        return .{
            .run = self.run,
            .author = self.author,
            .from = note.from(),
            .trail = self.trail,
            .noted = self.noted,
            .passed = self.passed,
            .returned = self.returned,
            .lost = self.lost,
            .last = self.last,
            .doubled = self.doubled,
            .disordered = self.disordered,
        };
    }
};

/// Count a Note; the number of its row, or null if there is no place for one more.
pub fn count(note: protocol.Note) ?u32 {
    const index = find(note) orelse return null;
    const row = &rows.items[index];
    row.count(note);
    if (note.path.len == 0) row.noted += 1 else row.passed += 1;
    return index;
}

/// One that was passed on has come back.
pub fn countReturned(index: u32) void {
    if (index < rows.items.len) rows.items[index].returned += 1;
}

/// Our answer to one has come back.
pub fn countLost(note: protocol.Note) void {
    for (rows.items) |*row| if (row.holds(note)) {
        row.lost += 1;
    };
}

pub fn all() []const protocol.Noted {
    const list = nectar.arena().alloc(protocol.Noted, rows.items.len) catch @panic("out of memory");
    for (list, rows.items) |*to, row| to.* = row.report();
    return list;
}

pub fn forget() void {
    for (rows.items) |*row| row.deinit();
    rows.clearRetainingCapacity();
    left_out = 0;
}

fn find(note: protocol.Note) ?u32 {
    for (rows.items, 0..) |row, i| if (row.holds(note)) return @intCast(i);
    if (rows.items.len == max_rows) {
        left_out += 1;
        return null;
    }
    rows.append(allocator, .init(note)) catch @panic("out of memory");
    return @intCast(rows.items.len - 1);
}
