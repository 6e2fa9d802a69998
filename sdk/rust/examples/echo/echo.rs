//! Answers each request with its own body and blob. To inherit the blob costs no copy.

use nectar::{receive, respond, Address, Event, Reply};

nectar::process!(run);

fn run(_our: Address) {
    loop {
        match receive() {
            Event::Request(request) if request.wants_answer() => respond(Reply::of(request.body).inheriting()),
            _ => {}
        }
    }
}
