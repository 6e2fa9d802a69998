//! A chat with a page: people type in browsers, the page and this process talk over a WebSocket, and the processes of two
//! nodes by messages.
//!
//!     browser                             this process                       web_chat of two.nec
//!     {"Say":{"to":"two.nec","text":"Hi"}}  →
//!                  ←  {"Line":{…,"state":"Sent"}}
//!                                         {"Line":{"number":1,"text":"Hi"}}  →
//!                                                                            ←  "Heard"
//!                  ←  {"Line":{…,"state":"Heard"}}
//!
//! A line that did not get there is shown as Offline, or Timeout if nobody knows whether it did. {"Again":1} sends it once
//! more, under the number that it had: whoever has heard it already answers and does not show it twice. Lines are saved
//! before anybody is told of them, so both ends of a conversation outlive a crash.

use nectar::json::{object, tagged};
use nectar::{get_blob, get_state, http, receive, respond, send, set_state, Address, Event, Json, Outgoing, Reply, Request};

/// Seconds for a line to another node: long enough to learn that it is Offline.
const PATIENCE: u64 = 30;
const MAX_NAME_BYTES: usize = 253;
const MAX_TEXT_BYTES: usize = 1000;
const MAX_LINES: usize = 200;

#[derive(Clone)]
struct Line {
    /// Its number among all lines here.
    id: u64,
    /// Whom we talk to: who said it or, if it is ours, for whom it is.
    node: String,
    mine: bool,
    /// Among all lines of its author.
    number: u64,
    text: String,
    /// Sent, Heard, Offline, Timeout or Refused.
    state: String,
}

impl Line {
    fn json(&self) -> Json {
        object([
            ("id", self.id.into()),
            ("node", self.node.as_str().into()),
            ("mine", self.mine.into()),
            ("number", self.number.into()),
            ("text", self.text.as_str().into()),
            ("state", self.state.as_str().into()),
        ])
    }

    fn parse(value: &Json) -> Option<Line> {
        Some(Line {
            id: value.get("id").u64()?,
            node: value.get("node").text()?.to_string(),
            mine: value.get("mine").bool()?,
            number: value.get("number").u64()?,
            text: value.get("text").text()?.to_string(),
            state: value.get("state").text()?.to_string(),
        })
    }
}

struct Chat {
    our: Address,
    /// The last ones, in the order in which they came.
    lines: Vec<Line>,
    /// The id of the last line.
    last: u64,
    /// The number of our own last one.
    said: u64,
    /// The WebSockets that are open: one for each page that somebody looks at.
    channels: Vec<u64>,
}

nectar::process!(run);

fn run(our: Address) {
    let mut chat = Chat::load(our);
    http::serve("/", "text/html; charset=utf-8", include_str!("page.html")).expect("a page");
    http::serve("/page.css", "text/css", include_str!("page.css")).expect("a page");
    http::serve("/page.js", "text/javascript", include_str!("page.js")).expect("a page");
    http::bind_web_socket("/lines").expect("a WebSocket");
    // The homepage need not be there, so nobody waits for its answer.
    let entry = object([("label", "Chat".into()), ("path", "/".into())]);
    send(&Outgoing::to(Address::local("homepage:homepage:sys"), tagged("Add", entry)));
    for id in chat.lines.iter().filter(|line| line.state == "Sent").map(|line| line.id).collect::<Vec<_>>() {
        chat.settle(id, "Timeout"); // by an earlier life of ours
    }
    loop {
        match receive() {
            Event::Request(request) => match http::parse(&chat.our, &request) {
                Some(event) => chat.browser(event),
                None if request.wants_answer() => chat.hear(&request),
                None => {}
            },
            // What comes back with an outcome is the id of the line.
            Event::Response(response) => {
                let heard = response.body == b"\"Heard\"";
                chat.settle(id_of(response.context), if heard { "Heard" } else { "Refused" });
            }
            Event::SendError(error) if error.of_request => chat.settle(id_of(error.context), error.kind.name()),
            Event::SendError(_) => {}
        }
    }
}

fn id_of(context: Option<Vec<u8>>) -> u64 {
    context.and_then(|bytes| Json::parse(&bytes).ok()).and_then(|value| value.u64()).unwrap_or(0)
}

impl Chat {
    fn load(our: Address) -> Chat {
        let saved = get_state().and_then(|bytes| Json::parse(&bytes).ok()).unwrap_or(Json::Null);
        Chat {
            our,
            lines: saved.get("lines").items().iter().filter_map(Line::parse).collect(),
            last: saved.get("last").u64().unwrap_or(0),
            said: saved.get("said").u64().unwrap_or(0),
            channels: Vec::new(),
        }
    }

    fn listed(&self) -> Json {
        self.lines.iter().map(Line::json).collect::<Vec<_>>().into()
    }

    fn save(&self) {
        let saved = object([("lines", self.listed()), ("last", self.last.into()), ("said", self.said.into())]);
        set_state(saved.to_string().as_bytes());
    }

    fn add(&mut self, node: &str, mine: bool, number: u64, text: &str, state: &str) -> Line {
        self.last += 1;
        self.said += u64::from(mine);
        if self.lines.len() == MAX_LINES {
            self.lines.remove(0);
        }
        let [node, text, state] = [node, text, state].map(str::to_string);
        let line = Line { id: self.last, node, mine, number, text, state };
        self.lines.push(line.clone());
        self.save();
        line
    }

    // --- browsers

    fn browser(&mut self, event: http::Event) {
        match event {
            http::Event::Page { .. } => http::answer(404, "text/plain", "There is no such page.\n"),
            http::Event::Open { channel, .. } => {
                self.channels.push(channel);
                let hello = object([("node", self.our.node.as_str().into()), ("lines", self.listed())]);
                http::push(channel, &tagged("Hello", hello).to_string());
            }
            http::Event::Message { channel, text: true } => {
                let order = get_blob().and_then(|blob| Json::parse(&blob.bytes).ok()).unwrap_or(Json::Null);
                match self.line_for(&order) {
                    Ok(line) => self.send(&line),
                    Err(why) => http::push(channel, &tagged("Err", why).to_string()),
                }
            }
            http::Event::Message { .. } => {}
            http::Event::Close { channel } => self.channels.retain(|each| *each != channel),
        }
    }

    /// The line that a page wants to be sent, or why not.
    fn line_for(&mut self, order: &Json) -> Result<Line, &'static str> {
        match order.variant() {
            Some(("Say", say)) => {
                let (to, text) = match (say.get("to").text(), say.get("text").text()) {
                    (Some(to), Some(text)) => (to, text),
                    _ => return Err("That is no order that this chat knows."),
                };
                if to.is_empty() || to.len() > MAX_NAME_BYTES {
                    return Err("Say the name of a node, such as two.nec.");
                }
                if to == self.our.node {
                    return Err("That is this node itself: name another one.");
                }
                if text.is_empty() || text.len() > MAX_TEXT_BYTES {
                    return Err("A line has 1 to 1,000 bytes.");
                }
                Ok(self.add(to, true, self.said + 1, text, "Sent"))
            }
            Some(("Again", id)) => {
                let found = self.lines.iter_mut().find(|line| Some(line.id) == id.u64());
                let line = found.ok_or("That line is not kept any more.")?;
                if !line.mine || line.state == "Sent" || line.state == "Heard" {
                    return Err("That line is not one to send again.");
                }
                line.state = "Sent".to_string();
                let line = line.clone();
                self.save();
                Ok(line)
            }
            _ => Err("That is no order that this chat knows."),
        }
    }

    fn tell_all(&self, line: &Line) {
        let news = tagged("Line", line.json()).to_string();
        self.channels.iter().for_each(|channel| http::push(*channel, &news));
    }

    // --- other nodes

    fn send(&self, line: &Line) {
        self.tell_all(line);
        let body = object([("number", line.number.into()), ("text", line.text.as_str().into())]);
        let request = Outgoing::to(self.our.on(&line.node), tagged("Line", body));
        send(&request.expecting(PATIENCE).with_context(line.id.to_string()));
    }

    /// Tell what became of a line, unless so many have come since that it is not kept.
    fn settle(&mut self, id: u64, state: &str) {
        if let Some(line) = self.lines.iter_mut().find(|line| line.id == id) {
            line.state = state.to_string();
            let line = line.clone();
            self.save();
            self.tell_all(&line);
        }
    }

    fn hear(&mut self, request: &Request) {
        let answer = match self.heard(request) {
            Ok(()) => "Heard".into(),
            Err(why) => tagged("Err", why),
        };
        respond(Reply::of(answer));
    }

    fn heard(&mut self, request: &Request) -> Result<(), &'static str> {
        let body = Json::parse(&request.body).map_err(|_| "expected a Line")?;
        let line = body.get("Line");
        let number = line.get("number").u64().ok_or("expected a Line")?;
        let text = line.get("text").text().ok_or("expected a Line")?;
        let author = &request.source.node;
        if *author == self.our.node {
            return Err("lines come from other nodes");
        }
        if text.is_empty() || text.len() > MAX_TEXT_BYTES {
            return Err("a line has 1 to 1,000 bytes");
        }
        if !self.lines.iter().any(|each| !each.mine && each.node == *author && each.number == number) {
            let line = self.add(author, false, number, text, "Heard");
            self.tell_all(&line);
        }
        Ok(())
    }
}
