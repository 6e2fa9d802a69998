//! Traffic that checks itself: the instrument with which scenarios find out what a fault does to messages.
//!
//! A witness sends numbered requests to witnesses on other nodes, and each of them knows what it must see: numbers that
//! only grow, from the node that they must come from, with the bytes that follow from author and number; and for each
//! request exactly one outcome, from the right node, for the right number. What differs becomes a sentence of the Report.
//!
//!     {"Begin":{"run":"a","targets":["two.nec"],"count":100,"gap_ms":50,"timeout":20}}   →  "Begun"
//!     {"Begin":{…,"path":["three.nec","four.nec"],"blob":4096}}                          →  "Begun"
//!     "Report"  →  {"Report":{"asked":[…],"noted":[…],"wrong":[],…}}
//!     "Forget"  →  "Forgotten"
//!
//! With a `path` a target passes the Note on, and so on to its end: nobody but the last one answers, and nobody but the
//! last one loads the blob, since both are inherited.
//!
//! `nectar start packages/witness` on two nodes, then `nectar message` to our@witness:witness:sys.

const std = @import("std");
const nectar = @import("nectar");
const asked = @import("asked.zig");
const blob = @import("blob.zig");
const noted = @import("noted.zig");
const protocol = @import("protocol.zig");
const texts = @import("texts.zig");
const wrong = @import("wrong.zig");

/// Counts the Forgets: what was sent before the last one counts no more.
var life: u32 = 0;

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| handle(our, request),
        .response => |response| outcome(our, response.context, .{ .response = response }),
        .send_error => |failed| if (failed.of_request)
            outcome(our, failed.context, .{ .send_error = failed })
        else
            lost(failed.body),
    };
}

fn handle(our: nectar.Address, request: nectar.Request) void {
    if (!request.wantsAnswer()) return handleBare(our, request);
    const wanted = nectar.json.parse(protocol.Request, request.body) catch
        return reply(.{ .Err = "expected Begin, Note, Report or Forget" });
    if (wanted == .Note) return take(our, request.source.node, wanted.Note);
    if (!std.mem.eql(u8, request.source.node, our.node)) return reply(.{ .Err = not_ours });
    switch (wanted) {
        .Begin => |begin| beginRun(our, begin),
        .Report => reply(.{ .Report = report() }),
        .Forget => forget(),
        .Bare => reply(.{ .Err = "that is for nobody to answer" }),
        .Note => unreachable, // see above
    }
}

/// Nobody waits for an answer to it.
fn handleBare(our: nectar.Address, request: nectar.Request) void {
    if (!request.source.eql(our)) return;
    if (nectar.getBlob() != null) wrong.say("a request that inherits nothing has a blob that nobody sent", .{});
}

const not_ours = "only this node's user may ask for that";

fn beginRun(our: nectar.Address, begin: protocol.Begin) void {
    // The answer first: requests of the run may take a while to send.
    if (asked.refusal(begin)) |reason| return reply(.{ .Err = reason });
    reply(.Begun);
    asked.begin(our, life, begin);
}

fn report() protocol.Report {
    return .{
        .asked = asked.all(),
        .noted = noted.all(),
        .wrong = wrong.all(),
        .wrong_left_out = wrong.left_out,
        .notes_left_out = noted.left_out,
    };
}

fn forget() void {
    life += 1;
    asked.forget();
    noted.forget();
    wrong.forget();
    reply(.Forgotten);
}

// --- other witnesses' requests ----------------------------------------------------------------------------------

fn take(our: nectar.Address, source: []const u8, note: protocol.Note) void {
    if (!bounded(note)) return reply(.{ .Err = "a Note that no witness sends" });
    if (!std.mem.eql(u8, source, note.from()))
        wrong.say("{f} must come from {s}, and came from {s}", .{ note, note.from(), source });
    const row = noted.count(note);
    if (note.blob > 0) nectar.send(.{ .target = our, .body = nectar.json.stringify(protocol.Request.Bare) });
    if (note.path.len > 0) return pass(our, note, row);
    if (blob.fault(note, nectar.getBlob())) |fault| wrong.say("{f} {s}", .{ note, fault });
    reply(.{ .Noted = handled(our, note) });
}

fn bounded(note: protocol.Note) bool {
    return note.run.len <= protocol.max_run and note.author.len <= protocol.max_node and
        note.number < protocol.max_count and note.trail.len + note.path.len < protocol.max_hops and
        texts.allWithin(note.trail, protocol.max_node) and texts.allWithin(note.path, protocol.max_node);
}

/// It inherits and expects nothing, so the answer goes to the author, and the blob goes on unread.
fn pass(our: nectar.Address, note: protocol.Note, row: ?u32) void {
    const context: protocol.Context = .{ .Pass = .{ .life = life, .row = row orelse std.math.maxInt(u32) } };
    var next = note;
    next.trail = texts.with(note.trail, our.node);
    next.path = note.path[1..];
    nectar.send(.{
        .target = .{ .node = note.path[0], .process = our.process },
        .body = nectar.json.stringify(protocol.Request{ .Note = next }),
        .inherit = true,
        .context = nectar.json.stringify(context),
    });
}

/// An answer of ours could not be delivered. It is its requester's to miss: we say nothing more, and count it.
fn lost(body: []const u8) void {
    const answer = nectar.json.parse(protocol.Answer, body) catch
        return wrong.say("an answer of ours came back with another body", .{});
    switch (answer) {
        .Noted, .Returned => |about| noted.countLost(about.note()),
        else => {},
    }
}

fn handled(our: nectar.Address, note: protocol.Note) protocol.Handled {
    return .{ .run = note.run, .author = note.author, .number = note.number, .trail = note.trail, .by = our.node };
}

// --- the outcomes of ours -----------------------------------------------------------------------------------------

fn outcome(our: nectar.Address, came: ?[]const u8, what: asked.Outcome) void {
    const text = came orelse return wrong.say("an outcome without its context", .{});
    const context = nectar.json.parse(protocol.Context, text) catch
        return wrong.say("an outcome with a context that is not ours: {s}", .{text});
    switch (context) {
        .Ask => |ask| if (ask.life == life) asked.over(our, life, ask, what),
        .Tick => |tick| if (tick.life == life) asked.ticked(our, life, tick.run),
        .Pass => |passed| returned(our, passed.life, passed.row, what),
    }
}

/// What we passed on has come back, and the prompt with it: its author is told.
fn returned(our: nectar.Address, sent_in: u32, row: u32, what: asked.Outcome) void {
    if (what == .response) return wrong.say("an answer to a Note that was passed on came to us", .{});
    if (sent_in == life) noted.countReturned(row);
    const sent = nectar.json.parse(protocol.Request, what.send_error.body) catch
        return wrong.say("a Note came back with another body", .{});
    var note = sent.Note;
    note.trail = note.trail[0 .. note.trail.len - 1]; // without us
    reply(.{ .Returned = handled(our, note) });
}

fn reply(answer: protocol.Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
