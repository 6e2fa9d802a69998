//! Measures round trips: `{"Run":{"target":ADDRESS,"count":N,"size":B,"outstanding":W,"blob":C}}` sends N requests with
//! bodies of B bytes, at most W (default: 1) of them unanswered at a time, with plain send and receive, and then answers
//! `{"Ran":{"count":N,"failed":F}}`. With `blob` each carries a blob of C bytes, by reference; then all are sent before
//! the first answer is received, whatever W is, since a blob can be handed on only while the message that brought it is
//! handled. Whatever is not a Run is answered without its blob, so another `ping` is a target that takes blobs and returns
//! none. Only Run and its answer are JSON.

const nectar = @import("nectar");

const Body = union(enum) {
    Run: Run,
    /// A Run of ours, with the blob that it is to hand on.
    Brought: Run,
    Ran: struct { count: u32, failed: u32 },
    Err: []const u8,
};

const Run = struct { target: []const u8, count: u32, size: u32, outstanding: u32 = 1, blob: u32 = 0 };

const max_size = 10 << 20;
const max_blob = 64 << 20;
const timeout_seconds = 30;

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) handle(our, request),
        .response, .send_error => {},
    };
}

fn handle(our: nectar.Address, request: nectar.Request) void {
    switch (nectar.json.parse(Body, request.body) catch return reply(.{ .Err = "not a Run" })) {
        .Run => |run| if (run.blob > 0) bringBlob(our, run) else reply(measure(run)),
        .Brought => |run| reply(measure(run)),
        else => reply(.{ .Err = "not a Run" }),
    }
}

/// Send ourselves the Run with a blob to hand on, and with the right to answer it.
fn bringBlob(our: nectar.Address, run: Run) void {
    if (run.blob > max_blob) return reply(.{ .Err = "blob must be at most 64 MiB" });
    const bytes = nectar.allocator.alloc(u8, run.blob) catch return reply(.{ .Err = "out of memory" });
    defer nectar.allocator.free(bytes);
    @memset(bytes, 'x');
    const body = nectar.json.stringify(Body{ .Brought = run });
    nectar.send(.{ .target = our, .body = body, .inherit = true, .blob = .{ .bytes = bytes } });
}

fn measure(run: Run) Body {
    if (run.size > max_size) return .{ .Err = "size must be at most 10 MiB" };
    if (run.outstanding == 0) return .{ .Err = "outstanding must be at least 1" };
    const address = nectar.Address.parse(run.target) catch return .{ .Err = "target is not an address" };
    // The text of the address goes away with the first `receive`.
    const target = address.dupe(nectar.allocator) catch return .{ .Err = "out of memory" };
    defer target.deinit(nectar.allocator);
    const payload = nectar.allocator.alloc(u8, run.size) catch return .{ .Err = "out of memory" };
    defer nectar.allocator.free(payload);
    @memset(payload, 'x');
    return .{ .Ran = .{ .count = run.count, .failed = roundTrips(target, run, payload) } };
}

/// How many of the requests were not answered. All are sent under the prompt of the Run, so that is what each outcome
/// puts back.
fn roundTrips(target: nectar.Address, run: Run, payload: []const u8) u32 {
    const inherits = run.blob > 0;
    const window = if (inherits) run.count else @min(run.outstanding, run.count);
    var failed: u32 = 0;
    for (0..window) |_| send(target, payload, inherits);
    for (window..run.count) |_| {
        failed += outcome();
        send(target, payload, inherits);
    }
    for (0..window) |_| failed += outcome();
    return failed;
}

fn send(target: nectar.Address, payload: []const u8, inherits: bool) void {
    nectar.send(.{ .target = target, .body = payload, .expects_response = timeout_seconds, .inherit = inherits });
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
