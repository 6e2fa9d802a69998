//! The page on which packages put their icons and widgets, at the root of its origin, for who has signed in.
//!
//!     {"Add":{"label":"Chess","icon":"data:image/png;base64,…","path":"/","widget":"<p>…</p>"}}
//!     "Remove"      takes away what its sender has added
//!     {"RemoveOther":"chess:chess:sys"}      takes away another's
//!     "GetApps"     →  {"GetApps":[{"id":"chess:chess:sys","label":"Chess",…}]}
//!
//! `icon`, `path` and `widget` may be null or missing. A process has one entry; what it adds replaces that. Senders need
//! the capability to message this process and most want no answer; who does gets "Ok" or {"Err":SENTENCE}. RemoveOther
//! is for the node's user, and for who attaches the capability "RemoveOther" of this process. The existing node's
//! SetStylesheet is refused: no package decides how the page of all looks. GetPushSubscription is answered that there is
//! none.
//!
//! Entries are kept (`apps.zig`). One is shown while its process is there, so what is gone, or has been uninstalled,
//! vanishes by itself. Only the kernel knows that, whose capability is more than should lie where the texts of all
//! packages come in: `presence.zig` has it, and is asked.

const std = @import("std");
const nectar = @import("nectar");
const apps = @import("apps.zig");
const page = @import("page.zig");

const Ask = union(enum) {
    Add: apps.Wanted,
    Remove,
    RemoveOther: []const u8,
    GetApps,
    SetStylesheet: nectar.json.Raw,
    GetPushSubscription,
};

const Answer = union(enum) {
    Ok,
    GetApps: []const apps.App,
    PushSubscription: ?[]const u8,
    Err: []const u8,
};

const FromBrowser = union(enum) { Http: struct { method: []const u8, url: []const u8 } };

const server = "http_server:distro:sys";
/// The capability of ours that lets its holder take away others' entries.
const remove_other = "\"RemoveOther\"";
/// Bytes of a request: an entry with all that it may have, escaped.
const max_request_bytes = 4 << 20;
/// Seconds for what processes of this node answer at once.
const patience = 10;

var our: nectar.Address = undefined;

pub fn init(address: nectar.Address) !void {
    our = address;
    try apps.restore(nectar.getState());
    bind();
    while (true) switch (nectar.receive()) {
        .request => |request| if (std.mem.eql(u8, request.source.node, our.node)) {
            if (isSystem(request.source, server)) serve(request.body) else try handle(request);
        },
        .response, .send_error => {},
    };
}

fn bind() void {
    switch (nectar.sendAndAwait(.{
        .target = .local(server),
        .body = "{\"Bind\":{\"path\":\"/\",\"authenticated\":true,\"local_only\":false,\"cache\":false}}",
        .expects_response = patience,
    })) {
        .response => |response| if (std.mem.indexOf(u8, response.body, "\"Err\"") != null)
            nectar.print(0, "its page is not served: {s}", .{response.body}),
        .send_error => nectar.print(0, "its page is not served: the HTTP server does not answer", .{}),
    }
}

fn handle(request: nectar.Request) !void {
    if (request.body.len > max_request_bytes) return refuse(request, "the entry is too large");
    const ask = nectar.json.parse(Ask, request.body) catch
        return refuse(request, "expected Add, Remove, RemoveOther or GetApps");
    const source = request.source.process;
    switch (ask) {
        .Add => |wanted| {
            if (apps.isFull(source)) if (present()) |there| apps.keep(there);
            if (try apps.add(source, wanted)) |reason| return refuse(request, reason);
        },
        .Remove => apps.remove(nectar.format("{f}", .{source})),
        .RemoveOther => |id| {
            if (!mayRemoveOthers(request)) return refuse(request, "RemoveOther takes its capability");
            apps.remove(id);
        },
        .GetApps => return reply(request, .{ .GetApps = shown() }),
        .SetStylesheet => return refuse(request, "the page's style is its own"),
        .GetPushSubscription => return reply(request, .{ .PushSubscription = null }),
    }
    reply(request, .Ok);
}

fn mayRemoveOthers(request: nectar.Request) bool {
    if (isSystem(request.source, "terminal:terminal:sys")) return true;
    for (request.capabilities) |each| {
        if (each.issuer.eql(our) and std.mem.eql(u8, each.params, remove_other)) return true;
    }
    return false;
}

fn isSystem(source: nectar.Address, comptime name: []const u8) bool {
    return source.process.eql(nectar.Address.local(name).process);
}

fn refuse(request: nectar.Request, reason: []const u8) void {
    nectar.print(1, "refuses {f}: {s}", .{ request.source.process, reason });
    reply(request, .{ .Err = reason });
}

fn reply(request: nectar.Request, answer: Answer) void {
    if (request.wantsAnswer()) nectar.respond(.{ .body = nectar.json.stringify(answer) });
}

/// The entries of processes that are there.
fn shown() []const apps.App {
    const there = present() orelse return apps.all();
    var found: std.ArrayList(apps.App) = .empty;
    for (apps.all()) |app| if (apps.contains(there, app.id)) {
        found.append(nectar.arena(), app) catch @panic("out of memory");
    };
    return found.items;
}

/// Which processes with an entry are there; null: nobody says so, as while `presence` starts again.
fn present() ?[]const []const u8 {
    var ids: std.ArrayList([]const u8) = .empty;
    for (apps.all()) |app| ids.append(nectar.arena(), app.id) catch @panic("out of memory");
    return switch (nectar.sendAndAwait(.{
        .target = .local("presence:homepage:sys"),
        .body = nectar.json.stringify(ids.items),
        .expects_response = patience,
    })) {
        .response => |response| nectar.json.parse([]const []const u8, response.body) catch null,
        .send_error => null,
    };
}

fn serve(body: []const u8) void {
    const browser = (nectar.json.parse(FromBrowser, body) catch return).Http;
    const is_get = std.mem.eql(u8, browser.method, "GET") or std.mem.eql(u8, browser.method, "HEAD");
    if (!is_get) return nectar.respond(.{ .body = "{\"status\":405,\"headers\":{\"Allow\":\"GET, HEAD\"}}" });
    nectar.respond(.{
        .body = page.head,
        .blob = .{ .bytes = page.html(our.node, browser.url, shown()) },
    });
}
