//! The transfers that main knows, in both directions, and who may have one more: a place, and room on the disk.
//!
//! A node has few of the places, and what it does with them counts: one that gets nowhere goes to whoever needs it, the
//! longest idle first. When all are taken by transfers that do get on, the node with the most makes room for one with
//! fewer. So nobody is kept out by what others do, however many they are.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");

const allocator = nectar.allocator;

/// Files that are received at one time.
const max_receiving = 256;
/// The same from one node.
pub const max_of_node = 16;
/// Files that are sent at one time.
const max_sending = 256;
/// Ended transfers of each direction that Status still knows.
const max_ended = 128;
/// Seconds without a byte, while it is the sender's turn, after which somebody else may have the place and the room.
pub const idle_seconds = 10;
/// Seconds over which a transfer's rate is taken.
const rate_seconds = 30;
/// Seconds in which a transfer must be over at its rate, or its room may go to somebody else. Who takes a byte now and
/// then for a file as large as the disk would hold all of it for ever.
const room_seconds = 24 * 3600;

/// Seconds since this process has started in which there was something to do.
pub var clock: u64 = 0;

var list: std.ArrayList(Transfer) = .empty;

pub const Transfer = struct {
    worker: nectar.ProcessId,
    report: protocol.Report,
    /// It has lost its place, and ends as soon as its worker hears of it.
    displaced: bool = false,
    /// When it last got on, by `clock`.
    moved: u64,
    /// Where it was when its rate was last taken, and when.
    mark: struct { bytes: u64, at: u64 },
    /// Bytes a second; null: not known yet.
    rate: ?u64 = null,
    /// Bytes that it takes beside those of its file: a folder is unpacked while it lies there packed.
    beside: u64 = 0,

    fn init(worker: nectar.ProcessId, report: protocol.Report) !Transfer {
        var copy = report;
        copy.id = try allocator.dupe(u8, report.id);
        copy.peer = try allocator.dupe(u8, report.peer);
        copy.name = try allocator.dupe(u8, report.name);
        copy.partial = try allocator.dupe(u8, report.partial);
        copy.note = try allocator.dupe(u8, report.note);
        return .{
            .worker = try worker.dupe(allocator),
            .report = copy,
            .moved = clock,
            .mark = .{ .bytes = report.bytes, .at = clock },
        };
    }

    fn deinit(self: Transfer) void {
        self.worker.deinit(allocator);
        allocator.free(self.report.id);
        allocator.free(self.report.peer);
        allocator.free(self.report.name);
        allocator.free(self.report.partial);
        allocator.free(self.report.note);
    }

    fn update(self: *Transfer, new: protocol.Report) !void {
        const known = &self.report;
        if (new.bytes > known.bytes or new.busy or known.busy) self.moved = clock;
        if (!std.mem.eql(u8, new.note, known.note)) {
            const note = try allocator.dupe(u8, new.note);
            allocator.free(known.note);
            known.note = note;
        }
        known.state = new.state;
        known.bytes = new.bytes;
        known.size = new.size;
        known.resumed_from = new.resumed_from;
        known.busy = new.busy;
        known.files = new.files;
        known.of_files = new.of_files;
    }

    /// Whether it has a place.
    fn runs(self: Transfer, direction: Direction) bool {
        return self.report.direction == direction and !self.report.state.over() and !self.displaced;
    }

    fn receivesFrom(self: Transfer, peer: []const u8) bool {
        return self.runs(.receiving) and std.mem.eql(u8, self.report.peer, peer);
    }

    pub fn isIdle(self: Transfer) bool {
        return !self.report.busy and clock - self.moved >= idle_seconds;
    }

    /// Whether its room may go to somebody else.
    fn stalls(self: Transfer) bool {
        const rate = self.rate orelse return self.isIdle();
        return self.isIdle() or rate *| room_seconds < self.toCome();
    }

    /// Bytes that are promised to it and not there yet.
    pub fn toCome(self: Transfer) u64 {
        return self.beside +| (self.report.size -| self.report.bytes);
    }
};

const Direction = @FieldType(protocol.Report, "direction");

pub fn all() []Transfer {
    return list.items;
}

/// A second has passed.
pub fn tick() void {
    clock += 1;
    for (list.items) |*transfer| {
        if (transfer.report.busy) transfer.moved = clock;
        if (clock - transfer.mark.at < rate_seconds) continue;
        transfer.rate = (transfer.report.bytes -| transfer.mark.bytes) / (clock - transfer.mark.at);
        transfer.mark = .{ .bytes = transfer.report.bytes, .at = clock };
    }
}

pub fn running(direction: Direction) usize {
    var count: usize = 0;
    for (list.items) |transfer| count += @intFromBool(transfer.runs(direction));
    return count;
}

fn receivingFrom(peer: []const u8) usize {
    var count: usize = 0;
    for (list.items) |transfer| count += @intFromBool(transfer.receivesFrom(peer));
    return count;
}

pub fn maySend() bool {
    return running(.sending) < max_sending;
}

pub const Place = union(enum) {
    free,
    /// It is this one's, which has to go.
    of: *Transfer,
    /// The node has as many as it can have.
    too_many,
    /// All are taken, by nodes that have no more than this one.
    none,
};

/// The place for a file from `peer`.
pub fn place(peer: []const u8) Place {
    const own = receivingFrom(peer);
    if (own >= max_of_node) return if (longestIdle(peer)) |victim| .{ .of = victim } else .too_many;
    if (running(.receiving) < max_receiving) return .free;
    if (longestIdle(null)) |victim| return .{ .of = victim };
    return if (greediest(own + 1)) |victim| .{ .of = victim } else .none;
}

fn longestIdle(peer: ?[]const u8) ?*Transfer {
    var found: ?*Transfer = null;
    for (list.items) |*transfer| {
        if (!transfer.runs(.receiving) or !transfer.isIdle()) continue;
        if (peer) |name| if (!std.mem.eql(u8, transfer.report.peer, name)) continue;
        if (found == null or transfer.moved < found.?.moved) found = transfer;
    }
    return found;
}

/// Of the node that has most places, more than `above`, the one that has not got on for longest.
fn greediest(above: usize) ?*Transfer {
    var found: ?*Transfer = null;
    var most = above;
    for (list.items) |*transfer| {
        if (!transfer.runs(.receiving)) continue;
        const theirs = receivingFrom(transfer.report.peer);
        if (theirs < most or theirs == above) continue;
        if (theirs > most or found == null or transfer.moved < found.?.moved) found = transfer;
        most = theirs;
    }
    return found;
}

/// Bytes that are promised to the transfers that run and are not there yet.
pub fn promised() u64 {
    var sum: u64 = 0;
    for (list.items) |transfer| if (transfer.runs(.receiving)) {
        sum +|= transfer.toCome();
    };
    return sum;
}

/// Bytes of files, once they have come.
pub fn expected() u64 {
    var sum: u64 = 0;
    for (list.items) |transfer| if (transfer.runs(.receiving)) {
        sum +|= transfer.report.size;
    };
    return sum;
}

/// The same of those whose room may go to somebody else.
pub fn stalled() u64 {
    var sum: u64 = 0;
    for (list.items) |transfer| if (transfer.runs(.receiving) and transfer.stalls()) {
        sum +|= transfer.toCome();
    };
    return sum;
}

/// The one of those that has not got on for longest.
pub fn longestStalled() ?*Transfer {
    var found: ?*Transfer = null;
    for (list.items) |*transfer| {
        if (!transfer.runs(.receiving) or !transfer.stalls() or transfer.toCome() == 0) continue;
        if (found == null or transfer.moved < found.?.moved) found = transfer;
    }
    return found;
}

/// Remember what `worker` does, from its report or before its first one.
pub fn put(worker: nectar.ProcessId, report: protocol.Report) !void {
    if (byWorker(worker)) |known| return known.update(report);
    var new: Transfer = try .init(worker, report);
    // Who offers a file again and again, and never sends a byte of it, is as idle as before.
    if (lastAttempt(report.partial)) |last| if (last.report.bytes == last.report.resumed_from) {
        new.moved = last.moved;
    };
    try list.append(allocator, new);
    forgetEnded(report.direction);
}

fn lastAttempt(partial: []const u8) ?Transfer {
    if (partial.len == 0) return null;
    var i = list.items.len;
    while (i > 0) {
        i -= 1;
        if (std.mem.eql(u8, list.items[i].report.partial, partial)) return list.items[i];
    }
    return null;
}

fn forgetEnded(direction: Direction) void {
    var ended: usize = 0;
    var oldest: ?usize = null;
    for (list.items, 0..) |transfer, i| {
        if (transfer.report.direction != direction or !transfer.report.state.over()) continue;
        ended += 1;
        if (oldest == null) oldest = i;
    }
    if (ended > max_ended) list.orderedRemove(oldest.?).deinit();
}

pub fn byWorker(worker: nectar.ProcessId) ?*Transfer {
    for (list.items) |*transfer| if (transfer.worker.eql(worker)) return transfer;
    return null;
}

/// The newest of that id: a user may use one again.
pub fn byId(id: []const u8) ?*Transfer {
    var i = list.items.len;
    while (i > 0) {
        i -= 1;
        if (std.mem.eql(u8, list.items[i].report.id, id)) return &list.items[i];
    }
    return null;
}

/// The transfer that writes that partial file, or may still do so.
pub fn writing(partial: []const u8) ?*Transfer {
    for (list.items) |*transfer| {
        if (!transfer.report.state.over() and std.mem.eql(u8, transfer.report.partial, partial)) return transfer;
    }
    return null;
}

pub fn isWritten(partial: []const u8) bool {
    return writing(partial) != null;
}
