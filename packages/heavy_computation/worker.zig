//! Counts primes, one division after another, and ends. It neither waits nor yields: that others run meanwhile is the
//! kernel's business.

const nectar = @import("nectar");
const protocol = @import("protocol.zig");

/// Numbers between two reports: some milliseconds of work.
const report_every = 10_000;

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.source.samePackage(our)) {
            const order = nectar.json.parse(protocol.Order, request.body) catch continue;
            return count(request.source, order.Count.job, order.Count.below);
        },
        .response, .send_error => {},
    };
}

fn count(main: nectar.Address, job: u8, below: u32) void {
    var primes: u32 = 0;
    for (0..below) |number| {
        if (number % report_every == 0) report(main, job, @intCast(number));
        primes += @intFromBool(isPrime(@intCast(number)));
    }
    const answer: protocol.Answer = .{ .Ran = .{ .below = below, .primes = primes } };
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}

fn isPrime(number: u32) bool {
    if (number < 4) return number > 1;
    if (number % 2 == 0) return false;
    var divisor: u32 = 3;
    while (divisor * divisor <= number) : (divisor += 2) if (number % divisor == 0) return false;
    return true;
}

fn report(main: nectar.Address, job: u8, tested: u32) void {
    const message: protocol.Ask = .{ .Report = .{ .job = job, .tested = tested } };
    nectar.send(.{ .target = main, .body = nectar.json.stringify(message) });
}
