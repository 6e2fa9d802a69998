//! One order, from the first question to the answer; then it ends.

const nectar = @import("nectar");
const protocol = @import("protocol.zig");

/// Seconds for one question.
const patience = 10;

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.source.samePackage(our)) {
            const ask = nectar.json.parse(protocol.Ask, request.body) catch continue;
            return nectar.respond(.{ .body = nectar.json.stringify(deliver(ask.Run.order)) });
        },
        .response, .send_error => {},
    };
}

fn deliver(order: []const u8) protocol.Answer {
    const customer = lookup("order", order) orelse return failed("order", order);
    const city = lookup("customer", customer) orelse return failed("customer", customer);
    const courier = lookup("city", city) orelse return failed("city", city);
    return .{ .Ran = .{ .order = order, .customer = customer, .city = city, .courier = courier } };
}

/// Ask the registry and wait for what it says; null: it knows nothing, or does not answer.
fn lookup(kind: []const u8, name: []const u8) ?[]const u8 {
    const question: protocol.Lookup = .{ .Lookup = .{ .key = nectar.format("{s}/{s}", .{ kind, name }) } };
    const outcome = nectar.sendAndAwait(.{
        .target = .local("registry:awaiting:sys"),
        .body = nectar.json.stringify(question),
        .expects_response = patience,
    });
    if (outcome == .send_error) return null;
    const found = nectar.json.parse(protocol.Found, outcome.response.body) catch return null;
    return if (found == .Found) found.Found.value else null;
}

fn failed(kind: []const u8, name: []const u8) protocol.Answer {
    return .{ .Err = nectar.format("the registry tells nothing about the {s} {s}", .{ kind, name }) };
}
