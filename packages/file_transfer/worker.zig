//! One transfer, on one side: becomes a sender or a receiver with its first order, and ends with the transfer.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");
const Receiver = @import("receiver.zig").Receiver;
const Sender = @import("sender.zig").Sender;

/// How long to wait for that order. None comes after a reboot of the node: the kernel starts this process again, and
/// nobody knows it.
const idle_milliseconds = 30_000;

pub fn init(our: nectar.Address) !void {
    nectar.send(.{
        .target = .local("timer:distro:sys"),
        .body = std.fmt.comptimePrint("{{\"SetTimer\":{d}}}", .{idle_milliseconds}),
        .expects_response = 2 * idle_milliseconds / 1000,
        .context = protocol.Context.of(.idle),
    });
    while (true) switch (nectar.receive()) {
        .request => |request| {
            if (!request.source.samePackage(our)) continue;
            const order = nectar.json.parse(protocol.ToWorker, request.body) catch continue;
            // Whatever becomes of us, our place does not stay taken.
            const ended: nectar.OnExitRequest = .{
                .target = request.source,
                .body = nectar.json.stringify(protocol.ToMain.Ended),
            };
            nectar.setOnExit(.{ .requests = &.{ended} });
            switch (order) {
                .Send => |job| return Sender.run(our, request.source, job),
                .Receive => |job| return Receiver.run(our, request.source, job),
                else => {},
            }
        },
        .response => return,
        .send_error => {},
    };
}
