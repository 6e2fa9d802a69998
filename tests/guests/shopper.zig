//! A process that asks servers: the body of a request is the URL, and the answer is what came of it.

const nectar = @import("nectar");

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| answer(request),
        .response, .send_error => {},
    };
}

fn answer(request: nectar.Request) void {
    const url = nectar.json.parse([]const u8, request.body) catch return;
    const fetched = nectar.http_client.fetch(.{
        .method = "POST",
        .url = url,
        .headers = &.{.{ .name = "X-Wants", .value = "\"tea\"" }},
        .body = "how much?",
        .seconds = 5,
    });
    const text = switch (fetched) {
        .failed => |why| nectar.json.stringify(why),
        .answer => |came| nectar.json.stringify(nectar.format("{d} {s} {s}", .{
            came.status,
            fetched.header("content-type") orelse "",
            came.body,
        })),
    };
    nectar.respond(.{ .body = text });
}
