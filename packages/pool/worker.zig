//! Takes jobs from the boss of any node, gives each to a child of its own, and passes on what comes of it. A child that
//! traps costs its job; the worker says so and goes on.

const nectar = @import("nectar");
const protocol = @import("protocol.zig");

/// Seconds that a child may take.
const patience = 3600;

var children: u8 = 0;

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) handle(request.body),
        // A response or an error puts back the prompt: the answer goes to the boss that sent that job.
        .response => |response| {
            children -= 1;
            nectar.respond(.{ .body = response.body });
        },
        .send_error => |failed| if (failed.of_request) {
            children -= 1;
            reply(.Crashed);
        },
    };
}

fn handle(body: []const u8) void {
    const order = nectar.json.parse(protocol.Order, body) catch return reply(.{ .Err = "expected {\"Do\":JOB}" });
    if (order.Do.below > protocol.max_below) return reply(.{ .Err = "a job goes up to 1,000,000 at most" });
    if (children == protocol.max_children) return reply(.Busy);
    const child = nectar.spawn(.{ .wasm_path = "/child.wasm" }) catch
        return reply(.{ .Err = "no child could be started" });
    children += 1;
    nectar.send(.{
        .target = .{ .node = "our", .process = child },
        .body = body,
        .expects_response = patience,
    });
}

fn reply(outcome: protocol.Outcome) void {
    nectar.respond(.{ .body = nectar.json.stringify(outcome) });
}
