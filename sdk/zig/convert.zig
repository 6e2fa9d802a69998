//! Between the types that a process author sees and the canonical ABI's. Nothing is copied but lists of records:
//! texts and bytes keep pointing at where they are.

const std = @import("std");
const abi = @import("abi.zig");
const memory = @import("memory.zig");
const nectar = @import("nectar.zig");

/// A list that is needed until the message is handled.
pub fn alloc(comptime T: type, len: usize) []T {
    if (len == 0) return @as([*]T, @ptrFromInt(@alignOf(T)))[0..0]; // see `abi.List.of`
    return memory.arena().alloc(T, len) catch memory.outOfMemory();
}

/// An optional text as three flat parameters.
pub const Flat = struct { some: u32, ptr: ?[*]const u8, len: usize };

pub fn flat(bytes: ?[]const u8) Flat {
    const some: abi.Bytes = .of(bytes orelse return .{ .some = 0, .ptr = null, .len = 0 });
    return .{ .some = 1, .ptr = some.ptr, .len = some.len };
}

fn toText(bytes: ?[]const u8) abi.Option(abi.Bytes) {
    return if (bytes) |some| .of(.of(some)) else .none;
}

pub fn toProcessId(id: nectar.ProcessId) abi.ProcessId {
    return .{ .process = .of(id.process), .package = .of(id.package), .publisher = .of(id.publisher) };
}

pub fn toAddress(address: nectar.Address) abi.Address {
    return .{ .node = .of(address.node), .process = toProcessId(address.process) };
}

pub fn toBlob(optional: ?nectar.Blob) abi.Option(abi.Blob) {
    return if (optional) |some| .of(.{ .mime = toText(some.mime), .bytes = .of(some.bytes) }) else .none;
}

pub fn toCapabilities(list: []const nectar.Capability) abi.List(abi.Capability) {
    const result = alloc(abi.Capability, list.len);
    for (result, list) |*to, from| to.* = .{ .issuer = toAddress(from.issuer), .params = .of(from.params) };
    return .of(result);
}

pub fn toRequest(request: nectar.Outgoing) abi.Request {
    return .{
        .inherit = request.inherit,
        .expects_response = if (request.expects_response) |seconds| .of(seconds) else .none,
        .body = .of(request.body),
        .metadata = toText(request.metadata),
        .capabilities = toCapabilities(request.capabilities),
    };
}

pub fn outgoing(request: nectar.Outgoing) abi.SendRequest {
    return .{
        .target = toAddress(request.target),
        .request = toRequest(request),
        .context = toText(request.context),
        .blob = toBlob(request.blob),
    };
}

pub fn toOnExit(on_exit: nectar.OnExit) abi.OnExit {
    const requests = switch (on_exit) {
        .none => return .{ .tag = .none, .requests = .of(&.{}) },
        .restart => return .{ .tag = .restart, .requests = .of(&.{}) },
        .requests => |requests| requests,
    };
    const result = alloc(abi.OnExitRequest, requests.len);
    for (result, requests) |*to, from| to.* = .{
        .target = toAddress(from.target),
        .request = toRequest(.{ .target = from.target, .body = from.body, .inherit = from.inherit }),
        .blob = toBlob(from.blob),
    };
    return .{ .tag = .requests, .requests = .of(result) };
}

pub fn fromText(bytes: abi.Option(abi.Bytes)) ?[]const u8 {
    return if (bytes.get()) |some| some.slice() else null;
}

pub fn fromProcessId(id: abi.ProcessId) nectar.ProcessId {
    return .{ .process = id.process.slice(), .package = id.package.slice(), .publisher = id.publisher.slice() };
}

pub fn fromAddress(from: abi.Address) nectar.Address {
    return .{ .node = from.node.slice(), .process = fromProcessId(from.process) };
}

pub fn fromBlob(optional: abi.Option(abi.Blob)) ?nectar.Blob {
    const some = optional.get() orelse return null;
    return .{ .mime = fromText(some.mime), .bytes = some.bytes.slice() };
}

pub fn fromCapabilities(list: abi.List(abi.Capability)) []const nectar.Capability {
    const result = alloc(nectar.Capability, list.len);
    for (result, list.slice()) |*to, from| to.* = .{
        .issuer = fromAddress(from.issuer),
        .params = from.params.slice(),
    };
    return result;
}

pub fn event(arrival: abi.Arrival) nectar.Event {
    switch (arrival.message.tag) {
        .request => {
            const request = arrival.message.value.request;
            return .{ .request = .{
                .source = fromAddress(arrival.source),
                .inherit = request.inherit,
                .expects_response = request.expects_response.get(),
                .body = request.body.slice(),
                .metadata = fromText(request.metadata),
                .capabilities = fromCapabilities(request.capabilities),
            } };
        },
        .response => {
            const response = arrival.message.value.response.response;
            return .{ .response = .{
                .source = fromAddress(arrival.source),
                .inherit = response.inherit,
                .body = response.body.slice(),
                .metadata = fromText(response.metadata),
                .capabilities = fromCapabilities(response.capabilities),
                .context = fromText(arrival.message.value.response.context),
            } };
        },
    }
}

pub fn fromSendError(failed: abi.SendError, context: abi.Option(abi.Bytes)) nectar.SendError {
    const of_request = failed.message.tag == .request;
    const body = if (of_request) failed.message.value.request.body else failed.message.value.response.response.body;
    return .{
        .kind = failed.kind,
        .of_request = of_request,
        .body = body.slice(),
        .blob = fromBlob(failed.blob),
        .context = fromText(context),
    };
}

pub fn fromOnExit(from: abi.OnExit) nectar.OnExit {
    switch (from.tag) {
        .none => return .none,
        .restart => return .restart,
        .requests => {},
    }
    const result = alloc(nectar.OnExitRequest, from.requests.len);
    for (result, from.requests.slice()) |*to, request| to.* = .{
        .target = fromAddress(request.target),
        .body = request.request.body.slice(),
        .inherit = request.request.inherit,
        .blob = fromBlob(request.blob),
    };
    return .{ .requests = result };
}
