//! Gets tickets, keeps them, gives them on, opens doors with them, and tries to get in without: as its user tells it.
//!
//!     {"Fetch":{"node":"one.nec","door":3}}               →  {"Fetched":[{"node":"one.nec","door":3}]}
//!     {"Pass":{"node":"one.nec","door":3,"to":"two.nec"}} →  {"Took":[{"node":"one.nec","door":3}]}
//!     {"Open":{"node":"one.nec","door":3}}                →  {"Door":{"Opened":{"door":3,"times":1}}}
//!     {"BreakIn":{"node":"one.nec","door":3,"how":"MadeUp"}}  →  {"Door":{"Refused":{"door":3,"reason":"no ticket"}}}
//!     "Tickets"                                           →  {"Tickets":[{"node":"one.nec","door":3}]}
//!
//! Tickets are held by the kernel, not here: they outlive the node's restart, and nothing that this process says can make
//! one. So a list of tickets always comes from `ourCapabilities`.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");

const door_process = nectar.Address.local("door:handoff:sys").process;

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) handle(our, request),
        // Puts back the prompt: whatever is replied goes to whoever sent us on the errand.
        .response => |response| answered(response),
        .send_error => |failed| if (failed.of_request)
            reply(.{ .Failed = .{ .kind = if (failed.kind == .offline) .Offline else .Timeout } }),
    };
}

fn handle(our: nectar.Address, request: nectar.Request) void {
    const wanted = nectar.json.parse(protocol.AskGuest, request.body) catch return reply(.{ .Err = not_understood });
    if (wanted != .Take and !std.mem.eql(u8, request.source.node, our.node)) return reply(.{ .Err = not_ours });
    switch (wanted) {
        .Fetch => |errand| ask(errand, .{ .Issue = .{ .door = errand.door } }, &.{}, .Fetch),
        .Open => |errand| ask(errand, .{ .Open = .{ .door = errand.door } }, &.{ticket(errand.node, errand.door)}, .Open),
        .Pass => |pass| give(our, pass),
        .BreakIn => |attempt| breakIn(our, attempt),
        .Tickets => reply(.{ .Tickets = held(nectar.ourCapabilities()) }),
        .Drop => |which| drop(which.node, which.door),
        .Take => reply(.{ .Took = keep(request.capabilities) }),
    }
}

const not_understood = "expected Fetch, Open, Pass, BreakIn, Tickets, Drop or Take";
const not_ours = "only this node's user may ask for that";

/// The capability that opens a door. It is only worth something if the kernel knows that we hold it.
fn ticket(node: []const u8, door: u32) nectar.Capability {
    return .{
        .issuer = .{ .node = node, .process = door_process },
        .params = nectar.json.stringify(protocol.Ticket{ .door = door }),
    };
}

fn ask(
    errand: protocol.Errand,
    question: protocol.AskDoor,
    attached: []const nectar.Capability,
    context: protocol.Context,
) void {
    nectar.send(.{
        .target = .{ .node = errand.node, .process = door_process },
        .body = nectar.json.stringify(question),
        .expects_response = errand.timeout,
        .context = @tagName(context),
        .capabilities = attached,
    });
}

fn give(our: nectar.Address, pass: @FieldType(protocol.AskGuest, "Pass")) void {
    nectar.send(.{
        .target = .{ .node = pass.to, .process = our.process },
        .body = nectar.json.stringify(protocol.AskGuest.Take),
        .expects_response = pass.timeout,
        .context = @tagName(protocol.Context.Pass),
        .capabilities = &.{ticket(pass.node, pass.door)},
    });
}

fn breakIn(our: nectar.Address, attempt: @FieldType(protocol.AskGuest, "BreakIn")) void {
    const forged = ticket(attempt.node, attempt.door);
    const own: nectar.Capability = .{ .issuer = our, .params = forged.params };
    if (attempt.how == .MadeUp) nectar.saveCapabilities(&.{forged});
    const attached: []const nectar.Capability = switch (attempt.how) {
        .NoTicket => &.{},
        .MadeUp => &.{forged},
        .OfOurOwn => &.{own},
        .OtherDoor => |other| &.{ticket(attempt.node, other)},
    };
    const errand: protocol.Errand = .{ .node = attempt.node, .door = attempt.door, .timeout = attempt.timeout };
    ask(errand, .{ .Open = .{ .door = attempt.door } }, attached, .Open);
}

fn drop(node: []const u8, door: u32) void {
    nectar.dropCapabilities(&.{ticket(node, door)});
    reply(.Dropped);
}

fn answered(response: nectar.Response) void {
    const context = std.meta.stringToEnum(protocol.Context, response.context orelse "") orelse return;
    switch (context) {
        .Fetch => reply(.{ .Fetched = keep(response.capabilities) }),
        .Open => reply(.{ .Door = nectar.json.parse(nectar.json.Raw, response.body) catch return replyNotJson() }),
        .Pass => {
            const said = nectar.json.parse(protocol.GuestSays, response.body) catch return replyNotJson();
            reply(said);
        },
    }
}

fn replyNotJson() void {
    reply(.{ .Err = "the answer is not JSON that I know" });
}

/// Those of `attached` that are tickets, and that the kernel now holds for us.
fn keep(attached: []const nectar.Capability) []const protocol.Held {
    nectar.saveCapabilities(attached);
    const ours = held(nectar.ourCapabilities());
    var kept: std.ArrayList(protocol.Held) = .empty;
    for (held(attached)) |came| for (ours) |one| if (one.door == came.door and std.mem.eql(u8, one.node, came.node)) {
        kept.append(nectar.arena(), came) catch @panic("out of memory");
    };
    return kept.items;
}

/// Those that are tickets.
fn held(list: []const nectar.Capability) []const protocol.Held {
    var tickets: std.ArrayList(protocol.Held) = .empty;
    for (list) |capability| if (capability.issuer.process.eql(door_process)) {
        const what = nectar.json.parse(protocol.Ticket, capability.params) catch continue;
        const one: protocol.Held = .{ .node = capability.issuer.node, .door = what.door };
        tickets.append(nectar.arena(), one) catch @panic("out of memory");
    };
    return tickets.items;
}

fn reply(answer: protocol.GuestSays) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
