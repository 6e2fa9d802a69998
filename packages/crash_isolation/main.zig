//! Risky work in children, so that a crash costs one job and never the process that people talk to.
//!
//! The decoder (`decoder.zig`) believes what its input says, as code from elsewhere may: on bad input it crashes. So
//! each job gets a decoder of its own. When one crashes, the kernel tells whoever waits for it at once, as a Timeout;
//! main says so to the requester and goes on, with its own memory and its other jobs untouched.
//!
//!     {"Run":{"data":"3a2b"}}   →  {"Ran":{"text":"aaabb"}}
//!     {"Run":{"data":"3"}}      →  {"Crashed":{"data":"3"}}
//!     "Status"                  →  {"Status":{"ran":1,"crashed":1}}
//!
//! To see it: `nectar start packages/crash_isolation`, then `nectar message` to
//! our@crash_isolation:crash_isolation:sys; what the decoder's crash looked like is in `nectar logs`.

const nectar = @import("nectar");

const Ask = union(enum) {
    /// Run-length encoded text: a digit and the character that it repeats, again and again.
    Run: struct { data: []const u8 },
    Status,
};

const Answer = union(enum) {
    Ran: struct { text: []const u8 },
    /// The decoder crashed on this data, or has been silent for too long.
    Crashed: struct { data: []const u8 },
    /// Jobs since the process began. That it can still tell them is the point of all this.
    Status: struct { ran: u32, crashed: u32 },
    Err: []const u8,
};

const patience_seconds = 10;

var ran: u32 = 0;
var crashed: u32 = 0;

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) handle(request.body),
        // A response or an error puts back the prompt: the answer goes to whoever sent that Run.
        .response => |response| {
            ran += 1;
            reply(.{ .Ran = .{ .text = response.body } });
        },
        .send_error => |failed| if (failed.of_request) {
            crashed += 1;
            nectar.print(1, "a decoder crashed; on with the next job", .{});
            reply(.{ .Crashed = .{ .data = failed.body } });
        },
    };
}

fn handle(body: []const u8) void {
    switch (nectar.json.parse(Ask, body) catch return reply(.{ .Err = not_understood })) {
        .Run => |job| run(job.data),
        .Status => reply(.{ .Status = .{ .ran = ran, .crashed = crashed } }),
    }
}

const not_understood = "expected {\"Run\":{\"data\":TEXT}} or \"Status\"";

fn run(data: []const u8) void {
    const decoder = nectar.spawn(.{ .wasm_path = "/decoder.wasm" }) catch
        return reply(.{ .Err = "no decoder could be started" });
    nectar.send(.{
        .target = .{ .node = "our", .process = decoder },
        .body = data,
        .expects_response = patience_seconds,
    });
}

fn reply(answer: Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
