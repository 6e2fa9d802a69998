//! What the user lets in: kept over restarts of the node, and asked of each offer.

const std = @import("std");
const nectar = @import("nectar");
const inbox = @import("inbox.zig");
const protocol = @import("protocol.zig");
const transfers = @import("transfers.zig");

const Policy = protocol.Policy;

const max_nodes = 1000;
/// Seconds for which a count of what the inbox holds is good when it says that the inbox is full.
const recount_seconds = 10;

var policy: Policy = .{};

pub fn current() Policy {
    return policy;
}

/// Bytes of partial files that one node may leave here.
pub fn maxLeftoverBytes() u64 {
    return policy.max_size orelse std.math.maxInt(u64);
}

pub fn load() void {
    const state = nectar.getState() orelse return;
    var saved = nectar.json.parse(Policy, state) catch return distrust();
    if (saved.version > Policy.current_version) return distrust();
    // It was saved with every policy, and said nothing.
    if (saved.version == 0 and saved.max_size == null) saved.max_size = Policy.default_max_size;
    adopt(saved) catch @panic("out of memory");
}

/// Nobody but we wrote it, so the disk is at fault, or a newer version did.
fn distrust() void {
    nectar.print(0, "the saved policy cannot be read: no files are accepted until `nectar inbox policy set`", .{});
    policy = .{ .accept = .none };
}

/// The user wants another one; answers them.
pub fn set(new: Policy) !void {
    const named = if (new.accept == .nodes) new.accept.nodes.len else new.from.len;
    if (named > max_nodes) return protocol.respond(.{ .Err = "at most 1000 nodes can be named" });
    try adopt(new);
    nectar.setState(nectar.json.stringify(policy));
    protocol.respond(.{ .Policy = policy });
}

/// Keep `new` beyond the message that it came with.
fn adopt(new: Policy) !void {
    const names = if (new.accept == .nodes) new.accept.nodes else new.from;
    const nodes = try nectar.allocator.alloc([]const u8, names.len);
    for (nodes, names) |*copy, node| copy.* = try nectar.allocator.dupe(u8, node);
    for (policy.from) |node| nectar.allocator.free(node);
    nectar.allocator.free(policy.from);
    policy = new;
    policy.version = Policy.current_version;
    policy.from = nodes;
    if (new.accept == .nodes) policy.accept = .none;
    counted = null;
}

/// What becomes of offers from `node`, as far as that depends on who it is.
pub fn of(node: []const u8) enum { accept, refuse, ask } {
    for (policy.from) |named| if (std.mem.eql(u8, named, node)) return .accept;
    return switch (policy.accept) {
        .all => .accept,
        .ask => .ask,
        .none, .nodes => .refuse,
    };
}

/// Why a file of that size cannot be taken, from whomever.
pub fn tooLarge(our: []const u8, size: u64) ?[]const u8 {
    const max = policy.max_size orelse return null;
    if (size <= max) return null;
    const shown = .{ our, protocol.shownBytes(max), protocol.shownBytes(size) };
    return nectar.format("{s} accepts files of up to {s}, this one has {s}", shown);
}

const Counted = struct { usage: inbox.Usage, at: u64 };
var counted: ?Counted = null;

/// Why the inbox cannot hold one more of that size, or a folder of so many files; null: it can.
pub fn inboxFull(our: nectar.Address, size: u64, files: u64) ?[]const u8 {
    if (policy.max_total == null and policy.max_files == null) return null;
    if (counted) |known| {
        const problem = exceeded(our.node, known.usage, size, files);
        if (problem == null or transfers.clock - known.at < recount_seconds) return problem;
    }
    switch (inbox.usage(our.process)) {
        .usage => |usage| {
            counted = .{ .usage = usage, .at = transfers.clock };
            return exceeded(our.node, usage, size, files);
        },
        .problem => |text| return nectar.format("{s} cannot tell how full its inbox is: {s}", .{ our.node, text }),
    }
}

fn exceeded(our: []const u8, held: inbox.Usage, size: u64, files: u64) ?[]const u8 {
    if (policy.max_files) |max| if (held.files +| transfers.running(.receiving) +| files > max) {
        return nectar.format("the inbox of {s} holds as many files as it may ({d}); some must be removed there", .{ our, max });
    };
    if (policy.max_total) |max| if (held.bytes +| transfers.expected() +| size > max) {
        const shown = .{ our, protocol.shownBytes(max), protocol.shownBytes(size) };
        return nectar.format("the inbox of {s} may hold {s}, and has no room for {s} more", shown);
    };
    return null;
}

/// A file has come, or a folder, whose files are counted when that is needed.
pub fn stored(size: u64, is_folder: bool) void {
    if (is_folder) counted = null;
    if (counted) |*known| {
        known.usage.bytes +|= size;
        known.usage.files += 1;
    }
}
