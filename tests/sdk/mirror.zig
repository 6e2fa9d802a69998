//! Calls every function of the SDK, as the body of each request says; the tests compare what the kernel is asked for.

const std = @import("std");
const nectar = @import("nectar");

const Command = enum { mirror, several, await, spawn, state, on_exit, capabilities, json, print, overflow, fail };

pub fn init(_: nectar.Address) !void {
    while (true) switch (nectar.receive()) {
        .request => |request| try act(request),
        .response => |response| nectar.send(.{
            .target = response.source,
            .body = response.body,
            .metadata = response.metadata,
            .capabilities = response.capabilities,
            .inherit = response.inherit,
            .context = response.context,
            .blob = nectar.getBlob(),
        }),
        .send_error => |failed| nectar.respond(.{
            .body = nectar.format("{t} {s} {s}", .{
                failed.kind,
                if (failed.of_request) "request" else "response",
                failed.body,
            }),
            .metadata = failed.context,
            .blob = failed.blob,
        }),
    };
}

fn act(request: nectar.Request) !void {
    switch (std.meta.stringToEnum(Command, request.metadata orelse "") orelse .mirror) {
        .mirror => nectar.send(outgoing(request, nectar.getBlob())),
        .several => nectar.sendAll(&.{ outgoing(request, null), outgoing(request, nectar.getBlob()) }),
        .await => answered(nectar.sendAndAwait(outgoing(request, nectar.getBlob()))),
        .spawn => spawn(request),
        .state => state(request.body),
        .on_exit => onExit(request),
        .capabilities => {
            nectar.saveCapabilities(nectar.ourCapabilities());
            nectar.dropCapabilities(nectar.ourCapabilities());
        },
        .json => nectar.respond(.{ .body = throughJson(request.body) }),
        .print => nectar.print(2, "{s}", .{request.body}),
        .overflow => nectar.respond(.{ .body = &.{request.body[0] + 200} }),
        .fail => return error.AsTold,
    }
}

fn outgoing(request: nectar.Request, blob: ?nectar.Blob) nectar.Outgoing {
    return .{
        .target = request.source,
        .body = request.body,
        .metadata = request.metadata,
        .capabilities = request.capabilities,
        .inherit = request.inherit,
        .expects_response = request.expects_response,
        .context = request.body,
        .blob = blob,
    };
}

fn answered(awaited: nectar.Awaited) void {
    switch (awaited) {
        .response => |response| nectar.respond(.{
            .body = response.body,
            .metadata = response.metadata,
            .capabilities = response.capabilities,
            .inherit = true,
            .blob = nectar.getBlob(),
        }),
        .send_error => |failed| nectar.respond(.{ .body = nectar.format("{t}", .{failed.kind}), .blob = failed.blob }),
    }
}

fn spawn(request: nectar.Request) void {
    const child = nectar.spawn(.{
        .name = if (request.body.len > 0) request.body else null,
        .wasm_path = "/child.wasm",
        .on_exit = .restart,
        .request_capabilities = request.capabilities,
        .grant_capabilities = &.{request.source.process},
        .public = request.inherit,
    });
    nectar.respond(.{ .body = if (child) |id| nectar.format("{f}", .{id}) else |err| @errorName(err) });
}

fn state(body: []const u8) void {
    if (body.len == 0) return nectar.clearState();
    nectar.setState(body);
    nectar.respond(.{ .body = nectar.getState() orelse "none" });
}

fn onExit(request: nectar.Request) void {
    nectar.setOnExit(.none);
    const last: nectar.OnExitRequest = .{ .target = request.source, .body = request.body, .blob = nectar.getBlob() };
    nectar.setOnExit(.{ .requests = &.{last} });
    nectar.setOnExit(nectar.getOnExit());
}

/// Every kind of type that JSON bodies are made of.
const Shape = union(enum) {
    Unit,
    Number: i64,
    Flag: bool,
    Maybe: ?u8,
    Text: []const u8,
    Texts: []const []const u8,
    Triple: [3]u8,
    Kind: enum { Offline, Timeout },
    Record: struct { needed: u64, default: u32 = 7, nested: ?struct { text: []const u8 } = null },
    Any: nectar.json.Raw,
};

fn throughJson(body: []const u8) []const u8 {
    return nectar.json.stringify(nectar.json.parse(Shape, body) catch return "not JSON");
}
