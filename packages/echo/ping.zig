//! Measures round trips: `{"Run":{"target":ADDRESS,"count":N,"size":B}}` sends N requests of B bytes one after the
//! other, with plain send and receive, and then answers `{"Ran":{"count":N,"failed":F}}`. Only Run and its answer are
//! JSON.

const nectar = @import("nectar");

const Body = union(enum) {
    Run: Run,
    Ran: struct { count: u32, failed: u32 },
    Err: []const u8,
};

const Run = struct { target: []const u8, count: u32, size: u32 };

const max_size = 10 << 20;
const timeout_seconds = 30;

pub fn init(_: nectar.Address) !void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) reply(try handle(request.body)),
        .response, .send_error => {},
    };
}

fn handle(body: []const u8) !Body {
    switch (nectar.json.parse(Body, body) catch return .{ .Err = "not a Run" }) {
        .Run => |run| {
            if (run.size > max_size) return .{ .Err = "size must be at most 10 MiB" };
            const address = nectar.Address.parse(run.target) catch return .{ .Err = "target is no address" };
            // The text of the address goes away with the first `receive`.
            const target = try address.dupe(nectar.allocator);
            defer target.deinit(nectar.allocator);
            const payload = try nectar.allocator.alloc(u8, run.size);
            defer nectar.allocator.free(payload);
            @memset(payload, 'x');
            return .{ .Ran = .{ .count = run.count, .failed = roundTrips(target, run.count, payload) } };
        },
        else => return .{ .Err = "not a Run" },
    }
}

/// How many of `count` requests were not answered. All are sent under the prompt of the Run, so that is what each
/// outcome puts back.
fn roundTrips(target: nectar.Address, count: u32, payload: []const u8) u32 {
    var failed: u32 = 0;
    for (0..count) |_| {
        nectar.send(.{ .target = target, .body = payload, .expects_response = timeout_seconds });
        failed += outcome();
    }
    return failed;
}

/// 0 if the outstanding request was answered, 1 if not. A second Run meanwhile is turned away.
fn outcome() u32 {
    while (true) switch (nectar.receive()) {
        .response => return 0,
        .send_error => |failed| if (failed.of_request) return 1,
        .request => |request| if (request.wantsAnswer()) reply(.{ .Err = "busy" }),
    };
}

fn reply(body: Body) void {
    nectar.respond(.{ .body = nectar.json.stringify(body) });
}
