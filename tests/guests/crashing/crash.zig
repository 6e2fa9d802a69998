//! Traps three calls deep, as a request wants it: "bounds" is a panic of Zig's own, "trap" has no message. "save" saves
//! a state, and anything else is answered.

const std = @import("std");
const nectar = @import("nectar");

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| handle(request),
        .response, .send_error => {},
    };
}

fn handle(request: nectar.Request) void {
    if (std.mem.eql(u8, request.body, "save")) nectar.setState(request.body);
    const first = lookUp(request.body);
    if (request.wantsAnswer()) nectar.respond(.{ .body = &.{first} });
}

fn lookUp(body: []const u8) u8 {
    if (std.mem.eql(u8, body, "trap")) @trap();
    return element(body, if (std.mem.eql(u8, body, "bounds")) body.len else 0);
}

noinline fn element(bytes: []const u8, index: usize) u8 {
    return bytes[index];
}
