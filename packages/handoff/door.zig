//! Opens doors for those who hold a ticket, on whatever node they are and whoever gave it to them.
//!
//! A ticket is a capability that this process issues. The kernel has checked every capability that comes with a message
//! (G20): one that names us as its issuer is one that we gave away, however many nodes it has passed through. So all that
//! is left to check is who issued it and for which door.
//!
//!     {"Issue":{"door":3}}  →  {"Issued":{"door":3}}, with the ticket
//!     {"Open":{"door":3}}   →  {"Opened":{"door":3,"times":1}} or {"Refused":{"door":3,"reason":"…"}}
//!     "Openings"            →  {"Openings":{"opened":[{"holder":"two.nec@guest:handoff:sys","door":3,"times":1}],…}}

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");

const allocator = nectar.allocator;

/// Holders and doors that are told apart.
const max_openings = 1024;

var openings: std.ArrayList(protocol.Opening) = .empty;
var refused: u32 = 0;
var left_out: u32 = 0;

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) handle(our, request),
        .response, .send_error => {},
    };
}

fn handle(our: nectar.Address, request: nectar.Request) void {
    const wanted = nectar.json.parse(protocol.AskDoor, request.body) catch
        return reply(.{ .Err = "expected Issue, Open or Openings" });
    switch (wanted) {
        .Issue => |ticket| issue(our, ticket),
        .Open => |ticket| open(our, request, ticket.door),
        .Openings => report(our, request.source),
    }
}

fn issue(our: nectar.Address, ticket: protocol.Ticket) void {
    nectar.respond(.{
        .body = nectar.json.stringify(protocol.DoorSays{ .Issued = ticket }),
        .capabilities = &.{.{ .issuer = our, .params = nectar.json.stringify(ticket) }},
    });
}

fn open(our: nectar.Address, request: nectar.Request, door: u32) void {
    if (reasonToRefuse(our, request.capabilities, door)) |reason| {
        refused += 1;
        return reply(.{ .Refused = .{ .door = door, .reason = reason } });
    }
    reply(.{ .Opened = .{ .door = door, .times = count(request.source, door) } });
}

/// null: one of them is a ticket for the door.
fn reasonToRefuse(our: nectar.Address, attached: []const nectar.Capability, door: u32) ?[]const u8 {
    if (attached.len == 0) return "no ticket";
    var reason: []const u8 = "not a ticket of ours";
    for (attached) |capability| if (capability.issuer.eql(our)) {
        const ticket = nectar.json.parse(protocol.Ticket, capability.params) catch continue;
        if (ticket.door == door) return null;
        reason = "a ticket for another door";
    };
    return reason;
}

/// How often this holder has opened this door by now; 0 if nobody knows, because there are too many.
fn count(source: nectar.Address, door: u32) u32 {
    const holder = nectar.format("{f}", .{source});
    for (openings.items) |*opening| if (opening.door == door and std.mem.eql(u8, opening.holder, holder)) {
        opening.times += 1;
        return opening.times;
    };
    if (openings.items.len == max_openings) {
        left_out += 1;
        return 0;
    }
    const kept = allocator.dupe(u8, holder) catch @panic("out of memory");
    openings.append(allocator, .{ .holder = kept, .door = door, .times = 1 }) catch @panic("out of memory");
    return 1;
}

fn report(our: nectar.Address, source: nectar.Address) void {
    if (!std.mem.eql(u8, source.node, our.node)) return reply(.{ .Err = "only this node's user may ask for that" });
    reply(.{ .Openings = .{ .opened = openings.items, .refused = refused, .left_out = left_out } });
}

fn reply(answer: protocol.DoorSays) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
