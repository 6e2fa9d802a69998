//! Answers each request with its own body and blob. Handing the blob on by inheritance costs no copy, so `echo` is
//! also what blob benchmarks talk to.

const nectar = @import("nectar");

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) nectar.respond(.{ .body = request.body, .inherit = true }),
        .response, .send_error => {},
    };
}
