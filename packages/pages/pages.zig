//! A page and WebSockets that send back what comes, and a path that keeps files and says where. Other processes may ask how many WebSockets there are, "Open", and
//! have it do nothing for a while, `{"Rest": MILLISECONDS}`.

const std = @import("std");
const nectar = @import("nectar");
const http = nectar.http;

const Body = union(enum) { Open: ?u64, Rest: u64 };

var open: u64 = 0;

const page =
    \\<!doctype html><html lang=en><meta charset=utf-8><title>Echo</title><h1>Echo</h1>
    \\<form><label>Say <input name=text autofocus></label> <button>Send</button></form><ol></ol><script>
    \\const at = location, socket = new WebSocket(at.origin.replace("http", "ws") + at.pathname.replace(/\/?$/, "/live"));
    \\socket.onmessage = (message) => {
    \\  document.querySelector("ol").append(Object.assign(document.createElement("li"), { textContent: message.data }));
    \\};
    \\document.querySelector("form").onsubmit = (event) => {
    \\  event.preventDefault();
    \\  socket.send(event.target.text.value);
    \\  event.target.reset();
    \\};
    \\</script></html>
;

pub fn init(our: nectar.Address) !void {
    try http.serve("/", .{ .mime = "text/html; charset=utf-8", .bytes = page }, .{});
    try http.bind("/open", .{});
    try http.receiveFiles("/files", "/pages:sys/data/files", .{});
    try http.bindWebSocket("/live", .{});
    while (true) switch (nectar.receive()) {
        .request => |request| if (http.parse(our, request)) |event| serve(event) else answer(request),
        .response, .send_error => {},
    };
}

fn serve(event: http.Event) void {
    switch (event) {
        .Http => |request| if (request.body_file) |file|
            http.respond(201, "text/plain", nectar.format("{s} {d} {s}", .{ file.path, file.length, file.hash }))
        else
            http.respond(200, "text/plain", nectar.format("{d}", .{open})),
        .WebSocketOpen => open += 1,
        .WebSocketClose => open -= 1,
        .WebSocketPush => |push| switch (push.message_type) {
            .Text, .Binary => if (nectar.getBlob()) |blob| http.push(push.channel_id, push.message_type, blob.bytes),
            .Ping, .Pong, .Close => {},
        },
    }
}

fn answer(request: nectar.Request) void {
    switch (nectar.json.parse(Body, request.body) catch return) {
        .Open => nectar.respond(.{ .body = nectar.json.stringify(Body{ .Open = open }) }),
        .Rest => |milliseconds| {
            _ = nectar.sendAndAwait(.{
                .target = nectar.Address.parse("our@timer:distro:sys") catch unreachable,
                .body = nectar.format("{{\"SetTimer\":{d}}}", .{milliseconds}),
                .expects_response = milliseconds / 1000 + 10,
            });
        },
    }
}
