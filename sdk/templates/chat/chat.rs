//! Lines between nodes.
//!
//!     {"Say":{"to":"two.nec","text":"Hi"}}  →  "Heard", or {"Missed":"Offline"} if it did not get there
//!     "Lines"  →  {"Lines":[{"node":"one.nec","text":"Hi"}]}      what this node has heard, the last 100
//!
//! {"Missed":"Timeout"} means that nobody knows: the line may have been heard, and the word of it was lost.

use nectar::json::{object, tagged};
use nectar::{receive, respond, send, Address, Event, Json, Outgoing, Reply, Request};

const MAX_LINES: usize = 100;
/// Seconds for a line to another node: long enough to learn that it is Offline.
const PATIENCE: u64 = 30;

nectar::process!(run);

fn run(our: Address) {
    let mut lines: Vec<Json> = Vec::new();
    loop {
        match receive() {
            Event::Request(request) if request.wants_answer() => handle(&our, &mut lines, request),
            // An outcome puts back the message under which the line was sent: the answer goes to whoever said it.
            Event::Response(response) => respond(Reply::of(response.body)),
            Event::SendError(error) if error.of_request => respond(Reply::of(tagged("Missed", error.kind.name()))),
            _ => {}
        }
    }
}

fn handle(our: &Address, lines: &mut Vec<Json>, request: Request) {
    let body = Json::parse(&request.body).unwrap_or(Json::Null);
    let node = request.source.node;
    match body.variant() {
        Some(("Say", say)) if node == our.node => match (say.get("to").text(), say.get("text").text()) {
            (Some(to), Some(text)) => send(&Outgoing::to(our.on(to), tagged("Line", text)).expecting(PATIENCE)),
            _ => refuse("a Say has a node and a text"),
        },
        Some(("Lines", _)) => respond(Reply::of(tagged("Lines", lines.clone()))),
        // From this process on another node; which one, the kernel knows.
        Some(("Line", Json::Text(text))) => {
            if lines.len() == MAX_LINES {
                lines.remove(0);
            }
            lines.push(object([("node", node.into()), ("text", text.as_str().into())]));
            respond(Reply::of("\"Heard\""))
        }
        _ => refuse("not a Say of this node, a Line or \"Lines\""),
    }
}

fn refuse(why: &str) {
    respond(Reply::of(tagged("Err", why)))
}
