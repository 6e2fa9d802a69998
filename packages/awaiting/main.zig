//! Steps that depend on each other, written one below the other in a child, without ever blocking the process that
//! people talk to.
//!
//! To deliver an order three questions have to be asked, each with the answer to the one before: whose order it is, in
//! which city they live, who delivers there. The registry takes a second for each. In one process that serves many, that
//! would be a state machine with a state for each answer that is outstanding; a child for each order (`job.zig`) simply
//! awaits. Main hands each Run on, so that the child answers the requester itself, and is free again.
//!
//!     {"Run":{"order":"1042"}}  →  {"Ran":{"order":"1042","customer":"ada","city":"london","courier":"grace"}}
//!     "Status"                  →  {"Status":{"started":1}}, at once, meanwhile
//!
//! To see it: `nectar start packages/awaiting`, then `nectar message` to our@awaiting:awaiting:sys.

const nectar = @import("nectar");
const protocol = @import("protocol.zig");

var started: u32 = 0;

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) handle(request.body),
        .response, .send_error => {},
    };
}

fn handle(body: []const u8) void {
    switch (nectar.json.parse(protocol.Ask, body) catch return reply(.{ .Err = not_understood })) {
        .Run => run(body),
        .Status => reply(.{ .Status = .{ .started = started } }),
    }
}

const not_understood = "expected {\"Run\":{\"order\":NUMBER}} or \"Status\"";

fn run(order: []const u8) void {
    const job = nectar.spawn(.{ .wasm_path = "/job.wasm" }) catch
        return reply(.{ .Err = "no job could be started" });
    started += 1;
    // Inherits and expects nothing: the job answers our requester. If it crashes, the kernel tells them.
    nectar.send(.{ .target = .{ .node = "our", .process = job }, .body = order, .inherit = true });
}

fn reply(answer: protocol.Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
