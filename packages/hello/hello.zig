//! Greets whoever asks, or asks hello on another node to do so and tells what came of it.

const nectar = @import("nectar");

const Body = union(enum) {
    /// The name to greet.
    Greet: []const u8,
    /// Have `node` greet `name`; give up after `timeout` seconds.
    Ask: struct { node: []const u8, name: []const u8, timeout: u64 = 5 },
    Greeting: []const u8,
    /// What the other node said.
    Answered: struct { body: nectar.json.Raw },
    Failed: struct { kind: enum { Offline, Timeout } },
    /// Why a request was not understood.
    Err: []const u8,
};

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) answer(our, request.body),
        // A response or an error puts back the prompt: `reply` goes to whoever sent the Ask.
        .response => |response| reply(if (nectar.json.parse(nectar.json.Raw, response.body)) |body|
            .{ .Answered = .{ .body = body } }
        else |_|
            .{ .Err = "the other node answered with something that is not JSON" }),
        .send_error => |failed| if (failed.context) |node| {
            nectar.print(1, "no greeting from {s}: {t}", .{ node, failed.kind });
            reply(.{ .Failed = .{ .kind = if (failed.kind == .offline) .Offline else .Timeout } });
        },
    };
}

fn answer(our: nectar.Address, body: []const u8) void {
    switch (nectar.json.parse(Body, body) catch return reply(.{ .Err = "not JSON that I know" })) {
        .Greet => |name| reply(.{ .Greeting = nectar.format("Hello, {s}, from {s}", .{ name, our.node }) }),
        .Ask => |ask| nectar.send(.{
            .target = .{ .node = ask.node, .process = our.process },
            .body = nectar.json.stringify(Body{ .Greet = ask.name }),
            .expects_response = ask.timeout,
            .context = ask.node,
        }),
        else => reply(.{ .Err = "not a Greet or an Ask" }),
    }
}

fn reply(body: Body) void {
    nectar.respond(.{ .body = nectar.json.stringify(body) });
}
