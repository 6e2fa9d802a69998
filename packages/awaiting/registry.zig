//! A slow service: answers each Lookup a second after it came, any number of them at once.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");

const milliseconds = 1000;

const entries: std.StaticStringMap([]const u8) = .initComptime(.{
    .{ "order/1042", "ada" },
    .{ "order/1043", "linus" },
    .{ "order/1044", "nobody" },
    .{ "customer/ada", "london" },
    .{ "customer/linus", "helsinki" },
    .{ "city/london", "grace" },
    .{ "city/helsinki", "margaret" },
});

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) later(find(request.body)),
        // Puts back the prompt of the Lookup that the timer was set for.
        .response => |response| nectar.respond(.{ .body = response.context.? }),
        .send_error => {},
    };
}

fn find(body: []const u8) protocol.Found {
    const question = nectar.json.parse(protocol.Lookup, body) catch return .Unknown;
    const value = entries.get(question.Lookup.key) orelse return .Unknown;
    return .{ .Found = .{ .value = value } };
}

fn later(answer: protocol.Found) void {
    nectar.send(.{
        .target = .local("timer:distro:sys"),
        .body = std.fmt.comptimePrint("{{\"SetTimer\":{d}}}", .{milliseconds}),
        .expects_response = 2 * milliseconds / 1000,
        .context = nectar.json.stringify(answer),
    });
}
