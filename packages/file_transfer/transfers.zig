//! The transfers that main knows, in both directions: the last `capacity` of them, the ended ones forgotten first.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");

const allocator = nectar.allocator;

/// Running transfers at one time, and ended ones that Status still knows.
const capacity = 256;

var list: std.ArrayList(Transfer) = .empty;

pub const Transfer = struct {
    worker: nectar.ProcessId,
    report: protocol.Report,

    fn init(worker: nectar.ProcessId, report: protocol.Report) !Transfer {
        var copy = report;
        copy.id = try allocator.dupe(u8, report.id);
        copy.peer = try allocator.dupe(u8, report.peer);
        copy.name = try allocator.dupe(u8, report.name);
        copy.partial = try allocator.dupe(u8, report.partial);
        return .{ .worker = try worker.dupe(allocator), .report = copy };
    }

    fn deinit(self: Transfer) void {
        self.worker.deinit(allocator);
        allocator.free(self.report.id);
        allocator.free(self.report.peer);
        allocator.free(self.report.name);
        allocator.free(self.report.partial);
    }
};

pub fn all() []Transfer {
    return list.items;
}

/// Whether one more can be started.
pub fn full() bool {
    return list.items.len >= capacity and oldestOver() == null;
}

/// Remember what `worker` does, from its report or before its first one.
pub fn put(worker: nectar.ProcessId, report: protocol.Report) !void {
    if (byWorker(worker)) |known| {
        known.report.state = report.state;
        known.report.bytes = report.bytes;
        known.report.size = report.size;
        known.report.resumed_from = report.resumed_from;
        return;
    }
    if (list.items.len >= capacity) list.orderedRemove(oldestOver() orelse return).deinit();
    try list.append(allocator, try .init(worker, report));
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

/// The running transfer that writes that partial file.
pub fn writing(partial: []const u8) ?*Transfer {
    for (list.items) |*transfer| {
        if (!transfer.report.state.over() and std.mem.eql(u8, transfer.report.partial, partial)) return transfer;
    }
    return null;
}

fn oldestOver() ?usize {
    for (list.items, 0..) |transfer, i| if (transfer.report.state.over()) return i;
    return null;
}
