//! Offers about which the user is asked, and what they said. A sender that waits makes its offer again every two
//! seconds; that is how it learns of the verdict, and how we know that it still waits.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");
const transfers = @import("transfers.zig");

const allocator = nectar.allocator;

/// Of one node.
const max_of_node = 16;
/// Of all.
const max_all = 256;
/// Seconds after the sender last asked, in which an offer is kept: one is there again when the user had time to look.
const kept_seconds = 24 * 3600;
/// The same of one that was refused: within them the sender hears the same again, and the user nothing.
const refused_seconds = 3600;
/// Seconds after which a sender that has not asked again has gone.
const gone_seconds = 60;

const Pending = struct {
    number: u64,
    /// Where it would be written: the same for the same offer.
    partial: []const u8,
    peer: []const u8,
    name: []const u8,
    size: u64,
    verdict: protocol.Verdict = .pending,
    /// When the sender last asked, by `transfers.clock`.
    seen: u64,

    fn deinit(self: Pending) void {
        allocator.free(self.partial);
        allocator.free(self.peer);
        allocator.free(self.name);
    }

    fn shown(self: Pending) protocol.Offered {
        return .{
            .id = self.number,
            .peer = self.peer,
            .name = self.name,
            .size = self.size,
            .verdict = self.verdict,
            .silent = transfers.clock - self.seen,
        };
    }
};

var list: std.ArrayList(Pending) = .empty;
var last_number: u64 = 0;

pub fn any() bool {
    return list.items.len > 0;
}

/// What the user says of an offer, who is asked if it is a new one; null: there are too many.
pub fn verdict(partial: []const u8, peer: []const u8, offer: protocol.Offer) !?protocol.Verdict {
    for (list.items) |*pending| if (std.mem.eql(u8, pending.partial, partial)) {
        pending.seen = transfers.clock;
        return pending.verdict;
    };
    if (!makeRoom(peer)) return null;
    last_number += 1;
    try list.append(allocator, .{
        .number = last_number,
        .partial = try allocator.dupe(u8, partial),
        .peer = try allocator.dupe(u8, peer),
        .name = try allocator.dupe(u8, offer.name),
        .size = offer.size,
        .seen = transfers.clock,
    });
    nectar.print(0, "{s} offers {s} ({s}): `nectar inbox accept {d}` takes it, `nectar inbox refuse {d}` does not", .{
        peer,        protocol.presentable(offer.name), protocol.shownBytes(offer.size),
        last_number, last_number,
    });
    return .pending;
}

/// Whether one more of `peer` may be kept; what makes room is its own if it has many, else of who has most.
fn makeRoom(peer: []const u8) bool {
    const own = count(peer);
    if (own < max_of_node and list.items.len < max_all) return true;
    var most = own;
    var owner = peer;
    if (own < max_of_node) for (list.items) |pending| {
        const theirs = count(pending.peer);
        if (theirs > most) {
            most = theirs;
            owner = pending.peer;
        }
    };
    if (own < max_of_node and most <= own + 1) return false;
    var found: ?usize = null;
    for (list.items, 0..) |pending, i| {
        if (!std.mem.eql(u8, pending.peer, owner)) continue;
        if (found == null or pending.seen < list.items[found.?].seen) found = i;
    }
    const i = found orelse return false;
    const gone = list.items[i].verdict == .refused or transfers.clock - list.items[i].seen > gone_seconds;
    if (own >= max_of_node and !gone) return false;
    list.orderedRemove(i).deinit();
    return true;
}

fn count(peer: []const u8) usize {
    var sum: usize = 0;
    for (list.items) |pending| sum += @intFromBool(std.mem.eql(u8, pending.peer, peer));
    return sum;
}

/// All of them, oldest first.
pub fn all() ![]const protocol.Offered {
    const shown = try nectar.arena().alloc(protocol.Offered, list.items.len);
    for (shown, list.items) |*row, pending| row.* = pending.shown();
    return shown;
}

/// The user decides: the one with that number, or with that file's name if no other has it. Answers the user.
pub fn decide(which: []const u8, decided: protocol.Verdict) void {
    var found: ?*Pending = null;
    const number: ?u64 = std.fmt.parseInt(u64, which, 10) catch null;
    for (list.items) |*pending| if (number == pending.number) {
        found = pending;
    };
    if (found == null) for (list.items) |*pending| if (std.mem.eql(u8, pending.name, which)) {
        if (found != null) {
            const many = "more than one offer is called '{s}': say the number of the one that you mean";
            return protocol.respond(.{ .Err = nectar.format(many, .{protocol.presentable(which)}) });
        }
        found = pending;
    };
    const pending = found orelse {
        return protocol.respond(.{ .Err = nectar.format("there is no offer '{s}'", .{protocol.presentable(which)}) });
    };
    pending.verdict = decided;
    protocol.respond(.{ .Offers = &.{pending.shown()} });
}

/// Nobody need be asked about it any more.
pub fn forget(partial: []const u8) void {
    for (list.items, 0..) |pending, i| if (std.mem.eql(u8, pending.partial, partial)) {
        return list.orderedRemove(i).deinit();
    };
}

/// Let go of those that are too old, or with `everything` of all.
pub fn expire(everything: bool) void {
    var i: usize = 0;
    while (i < list.items.len) {
        const pending = list.items[i];
        const kept: u64 = if (pending.verdict == .refused) refused_seconds else kept_seconds;
        if (everything or transfers.clock - pending.seen > kept) list.orderedRemove(i).deinit() else i += 1;
    }
}
