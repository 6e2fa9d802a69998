//! The page as HTML. All texts are others' and are escaped for where they stand. There is no script in it: widgets run
//! theirs in frames of their own, which have an origin that is nobody's and inherit the page's policy, so that they can
//! show and compute things and reach nothing.

const std = @import("std");
const nectar = @import("nectar");
const apps = @import("apps.zig");

const Writer = std.Io.Writer;

/// The answer's status and headers. What runs in the page or in a widget can ask nobody for anything (CSP level 3).
pub const head = "{\"status\":200,\"headers\":{\"Content-Type\":\"text/html; charset=utf-8\",\"Cache-Control\":\"no-store\"," ++
    "\"Content-Security-Policy\":\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; " ++
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\"}}";

/// How the host of an origin of our own begins; behind it is the node's.
const own_origin = "homepage--homepage--sys.";

const style =
    \\:root{color-scheme:light dark;--back:light-dark(#f6f7f9,#14171b);--card:light-dark(#fff,#1f242b);
    \\--text:light-dark(#1a1d21,#e8eaed);--faint:light-dark(#565e68,#a3acb8);--line:light-dark(#d6dae0,#363d47);
    \\--mark:light-dark(#0b57d0,#8ab4f8)}
    \\*{box-sizing:border-box}
    \\body{margin:0;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
    \\main{max-width:70rem;margin:auto;padding:1.5rem 1rem}
    \\h1{font-size:1.4rem;margin:0 0 1.5rem}h2{font-size:1.1rem;margin:2rem 0 1rem}
    \\ul{list-style:none;margin:0;padding:0;display:grid;gap:1rem}
    \\.apps{grid-template-columns:repeat(auto-fill,minmax(7rem,1fr))}
    \\.widgets{grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr))}
    \\.apps a{display:flex;flex-direction:column;align-items:center;gap:.5rem;padding:.75rem .25rem;border-radius:.75rem;
    \\color:inherit;text-decoration:none;text-align:center;overflow-wrap:anywhere}
    \\.apps a:hover{background:var(--card)}
    \\a:focus-visible{outline:3px solid var(--mark);outline-offset:2px}
    \\.icon{width:4rem;height:4rem;border-radius:1rem;border:1px solid var(--line);background:var(--card);object-fit:contain;
    \\display:grid;place-items:center;font-size:1.75rem}
    \\.widgets li{border:1px solid var(--line);border-radius:.75rem;background:var(--card);overflow:hidden}
    \\h3{font-size:.9rem;margin:0;padding:.5rem .75rem;overflow-wrap:anywhere}
    \\iframe{display:block;width:100%;height:16rem;border:0;border-top:1px solid var(--line);background:#fff;color-scheme:light}
    \\p{color:var(--faint)}code{overflow-wrap:anywhere;color:var(--text)}
;

/// The page for who has opened `url`; lives until the next message.
pub fn html(node: []const u8, url: []const u8, shown: []const apps.App) []const u8 {
    var out: Writer.Allocating = .init(nectar.arena());
    write(&out.writer, node, url, shown) catch @panic("out of memory");
    return out.written();
}

fn write(out: *Writer, node: []const u8, url: []const u8, shown: []const apps.App) Writer.Error!void {
    try out.writeAll("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">" ++
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    try text(out, node);
    try out.writeAll("</title><style>" ++ style ++ "</style></head><body><main><h1>");
    try text(out, node);
    try out.writeAll("</h1>");
    try links(out, url, shown);
    try widgets(out, shown);
    if (shown.len == 0) {
        try out.writeAll("<p>Nothing is here yet. Packages with pages put an icon here when they start. One comes with the " ++
            "node: <code>nectar start web_chat --node ");
        try text(out, node);
        try out.writeAll("</code></p>");
    }
    try out.writeAll("</main></body></html>");
}

fn links(out: *Writer, url: []const u8, shown: []const apps.App) Writer.Error!void {
    var some = false;
    for (shown) |app| {
        const path = app.path orelse continue;
        try out.writeAll(if (some) "" else "<nav aria-label=\"Packages\"><ul class=\"apps\">");
        some = true;
        try out.writeAll("<li><a href=\"");
        try address(out, nodeOf(url));
        try address(out, path);
        try out.writeAll("\">");
        if (app.base64_icon) |icon| {
            try out.writeAll("<img class=\"icon\" alt=\"\" src=\"");
            try text(out, icon);
            try out.writeAll("\">");
        } else {
            try out.writeAll("<span class=\"icon\" aria-hidden=\"true\">");
            try text(out, first(app.label));
            try out.writeAll("</span>");
        }
        try out.writeAll("<span>");
        try text(out, app.label);
        try out.writeAll("</span></a></li>");
    }
    if (some) try out.writeAll("</ul></nav>");
}

fn widgets(out: *Writer, shown: []const apps.App) Writer.Error!void {
    var some = false;
    for (shown) |app| {
        const widget = app.widget orelse continue;
        try out.writeAll(if (some) "" else "<h2>Widgets</h2><ul class=\"widgets\">");
        some = true;
        try out.writeAll("<li><h3>");
        try text(out, app.label);
        try out.writeAll("</h3><iframe sandbox=\"allow-scripts\" referrerpolicy=\"no-referrer\" loading=\"lazy\" title=\"");
        try text(out, app.label);
        try out.writeAll("\" srcdoc=\"");
        try text(out, widget);
        try out.writeAll("\"></iframe></li>");
    }
    if (some) try out.writeAll("</ul>");
}

/// Scheme and host of the node, which leads on to the origin of whatever package a path names; "" if the page is below
/// that already.
fn nodeOf(url: []const u8) []const u8 {
    const start = (std.mem.indexOf(u8, url, "://") orelse return "") + 3;
    const end = std.mem.indexOfScalarPos(u8, url, start, '/') orelse url.len;
    if (!std.mem.startsWith(u8, url[start..end], own_origin)) return "";
    return nectar.format("{s}{s}", .{ url[0..start], url[start + own_origin.len .. end] });
}

/// The first character of a text.
fn first(label: []const u8) []const u8 {
    const length = std.unicode.utf8ByteSequenceLength(label[0]) catch 1;
    return label[0..@min(length, label.len)];
}

/// A text in an element or in an attribute between double quotes.
fn text(out: *Writer, value: []const u8) Writer.Error!void {
    for (value) |byte| switch (byte) {
        '&' => try out.writeAll("&amp;"),
        '<' => try out.writeAll("&lt;"),
        '>' => try out.writeAll("&gt;"),
        '"' => try out.writeAll("&quot;"),
        '\'' => try out.writeAll("&#39;"),
        else => try out.writeByte(byte),
    };
}

/// An address in an attribute: what does not belong into one is percent-encoded (RFC 3986, 2.1).
fn address(out: *Writer, value: []const u8) Writer.Error!void {
    for (value) |byte| switch (byte) {
        'A'...'Z', 'a'...'z', '0'...'9', '-', '.', '_', '~', '/', ':', '?', '#', '[', ']', '@', '!', '$', '(', ')', '*', '+', ',', ';', '=', '%' => try out.writeByte(byte),
        '&' => try out.writeAll("&amp;"),
        else => try out.print("%{X:0>2}", .{byte}),
    };
}
