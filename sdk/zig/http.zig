//! Pages and WebSockets for browsers, by http-server:distro:sys. The process's manifest asks to message that.
//!
//!     try nectar.http.bindWebSocket("/live", .{});
//!     while (true) switch (nectar.receive()) {
//!         .request => |request| if (nectar.http.parse(our, request)) |event| switch (event) {
//!             .WebSocketPush => |push| if (nectar.getBlob()) |blob| nectar.http.push(push.channel_id, push.message_type, blob.bytes),
//!             else => {},
//!         },
//!         .response, .send_error => {},
//!     };

const std = @import("std");
const nectar = @import("nectar.zig");
const json = @import("json.zig");
const http_client = @import("http_client.zig");

const server = "http-server:distro:sys";
const seconds = 30;

/// What kind of message goes by a WebSocket.
pub const MessageType = enum { Text, Binary, Ping, Pong, Close };

/// A body that has become a file of this process's package.
pub const BodyFile = struct {
    /// As the vfs has it: "/chess:sys/data/sent/0123456789abcdef".
    path: []const u8,
    length: u64,
    /// BLAKE3, in hex.
    hash: []const u8,
};

/// A browser's request; its body is the blob, or the file.
pub const Http = struct {
    method: []const u8,
    url: []const u8,
    /// The path that was bound, below the process's name: "/games/:id".
    bound_path: []const u8,
    /// The rest as JSON objects: {"id":"7"}.
    headers: json.Raw,
    url_params: json.Raw,
    query_params: json.Raw,
    /// Where the body is, at a path that was bound by `receiveFiles`; null: it is empty.
    body_file: ?BodyFile = null,
};

/// What browsers do. Those that concern WebSockets want no answer.
pub const Event = union(enum) {
    Http: Http,
    WebSocketOpen: struct { path: []const u8, channel_id: u32 },
    /// What was sent is the blob.
    WebSocketPush: struct { channel_id: u32, message_type: MessageType },
    WebSocketClose: u32,
};

/// What a request of the HTTP server says, `our` being what `init` was given; null: it comes from somebody else, or is of
/// another kind. Another node can call any of its processes http-server: only which node it is is proven.
pub fn parse(our: nectar.Address, request: nectar.Request) ?Event {
    if (!std.mem.eql(u8, request.source.node, our.node)) return null;
    if (!std.mem.eql(u8, request.source.process.package, "distro")) return null;
    if (!std.mem.eql(u8, request.source.process.publisher, "sys")) return null;
    if (!std.mem.eql(u8, request.source.process.process, "http-server")) return null;
    return json.parse(Event, request.body) catch null;
}

/// To whom a path is served.
pub const Options = struct {
    /// Serve only who has signed in.
    authenticated: bool = false,
    /// Serve only the node's own machine.
    local_only: bool = false,
};

/// The server does not bind the path, or may not be messaged; the node's log says why.
pub const Error = error{NotBound};

/// Answer requests for a path below the process's name.
pub fn bind(path: []const u8, options: Options) Error!void {
    try ask(Order{ .Bind = .{
        .path = path,
        .authenticated = options.authenticated,
        .local_only = options.local_only,
        .cache = false,
    } }, null);
}

/// Let the server answer GET with `page` itself.
pub fn serve(path: []const u8, page: nectar.Blob, options: Options) Error!void {
    try ask(Order{ .Bind = .{
        .path = path,
        .authenticated = options.authenticated,
        .local_only = options.local_only,
        .cache = true,
    } }, page);
}

/// Let the server answer GET with the file or folder at `files`, "/chess:sys/pkg/ui", which it reads from the disk when
/// somebody asks. Of a folder, all below it is served below `path`.
pub fn serveFiles(path: []const u8, files: union(enum) { file: []const u8, folder: []const u8 }, options: Options) Error!void {
    try ask(.{ .Bind = FilesOrder{
        .path = path,
        .authenticated = options.authenticated,
        .local_only = options.local_only,
        .cache = false,
        .file = if (files == .file) files.file else null,
        .folder = if (files == .folder) files.folder else null,
    } }, null);
}

/// To whom a path is served, and how long bodies may be.
pub const FileOptions = struct {
    /// Serve only who has signed in.
    authenticated: bool = false,
    /// Serve only the node's own machine.
    local_only: bool = false,
    /// Bytes of one body; null: the package's quota is the limit.
    limit: ?u64 = null,
};

/// Answer requests for a path whose bodies go to files of a folder in a drive of this process's package,
/// "/chess:sys/data/sent", of any length: `body_file` says where. From then on the file is the package's, to keep or remove.
pub fn receiveFiles(path: []const u8, folder: []const u8, options: FileOptions) Error!void {
    try ask(.{ .Bind = BodiesOrder{
        .path = path,
        .authenticated = options.authenticated,
        .local_only = options.local_only,
        .cache = false,
        .body_to = folder,
        .body_limit = options.limit,
    } }, null);
}

/// Who may open a WebSocket.
pub const SocketOptions = struct {
    /// Let in only who has signed in.
    authenticated: bool = false,
    /// Whether a program on the node's machine connects here that works for this process.
    extension: bool = false,
};

/// Let browsers open WebSockets at a path below the process's name.
pub fn bindWebSocket(path: []const u8, options: SocketOptions) Error!void {
    try ask(Order{ .WebSocketBind = .{
        .path = path,
        .authenticated = options.authenticated,
        .extension = options.extension,
    } }, null);
}

/// Answer the browser's request that is being handled.
pub fn respond(status: u16, mime: []const u8, body: []const u8) void {
    nectar.respond(.{
        .body = nectar.format("{{\"status\":{d},\"headers\":{{}}}}", .{status}),
        .blob = .{ .mime = mime, .bytes = body },
    });
}

/// What to answer a browser.
pub const Answer = struct {
    status: u16 = 200,
    /// The rest of the headers, beside the Content-Type.
    headers: []const http_client.Header = &.{},
    mime: ?[]const u8 = null,
    body: []const u8 = "",
    /// In place of a body: a file that this process may read, of any length.
    file: ?[]const u8 = null,
};

/// Answer the browser's request that is being handled, with headers of our own.
pub fn reply(answer: Answer) void {
    const headers: http_client.Headers = .{ .list = answer.headers };
    const body = .{ .status = answer.status, .headers = headers, .file = answer.file };
    nectar.respond(.{
        .body = json.stringify(body),
        .blob = if (answer.file == null) .{ .mime = answer.mime, .bytes = answer.body } else null,
    });
}

/// Answer the browser's request that is being handled with a file that this process may read, "/chess:sys/data/film.webm".
/// The server reads it from the disk, as the browser takes it.
pub fn respondFile(status: u16, path: []const u8) void {
    const file = json.stringify(path);
    nectar.respond(.{ .body = nectar.format("{{\"status\":{d},\"headers\":{{}},\"file\":{s}}}", .{ status, file }) });
}

/// Send a message by WebSocket. A channel whose browser reads too slowly, or has gone, ends with `WebSocketClose`.
pub fn push(channel: u32, message_type: MessageType, bytes: []const u8) void {
    const order = Order{ .WebSocketPush = .{ .channel_id = channel, .message_type = message_type } };
    nectar.send(.{ .target = address(), .body = json.stringify(order), .blob = .{ .bytes = bytes } });
}

/// End a WebSocket. `WebSocketClose` still comes.
pub fn close(channel: u32) void {
    nectar.send(.{ .target = address(), .body = json.stringify(Order{ .WebSocketClose = channel }) });
}

const Order = union(enum) {
    Bind: struct { path: []const u8, authenticated: bool, local_only: bool, cache: bool },
    WebSocketBind: struct { path: []const u8, authenticated: bool, extension: bool },
    WebSocketPush: struct { channel_id: u32, message_type: MessageType },
    WebSocketClose: u32,
};

const FilesOrder = struct {
    path: []const u8,
    authenticated: bool,
    local_only: bool,
    cache: bool,
    file: ?[]const u8,
    folder: ?[]const u8,
};

const BodiesOrder = struct {
    path: []const u8,
    authenticated: bool,
    local_only: bool,
    cache: bool,
    body_to: []const u8,
    body_limit: ?u64,
};

fn ask(order: anytype, blob: ?nectar.Blob) Error!void {
    const request: nectar.Outgoing = .{
        .target = address(),
        .body = json.stringify(order),
        .expects_response = seconds,
        .blob = blob,
    };
    switch (nectar.sendAndAwait(request)) {
        .response => |response| if (!std.mem.startsWith(u8, response.body, "{\"Ok\"")) return error.NotBound,
        .send_error => return error.NotBound,
    }
}

fn address() nectar.Address {
    return nectar.Address.parse("our@" ++ server) catch unreachable;
}
