//! Pages and WebSockets, by `http-server:distro:sys`, which the manifest asks for and grants.

use crate::json::{object, tagged};
use crate::{respond, send, send_and_await, Address, Blob, Json, Outgoing, Reply, Request};

const SERVER: &str = "http-server:distro:sys";
/// Seconds for the node's server.
const PATIENCE: u64 = 30;

/// What a browser has done.
#[derive(Clone, Debug)]
pub enum Event {
    /// It asks for a page that the node has no copy of; `respond` answers.
    Page { method: String, path: String, url: String },
    Open { channel: u64, path: String },
    /// The message is the blob.
    Message { channel: u64, text: bool },
    Close { channel: u64 },
}

fn bind(body: Json, blob: Option<Blob>) -> Result<(), String> {
    let mut request = Outgoing::to(Address::local(SERVER), body).expecting(PATIENCE);
    request.blob = blob;
    let response = send_and_await(&request).map_err(|error| error.kind.name().to_string())?;
    match Json::parse(&response.body) {
        Ok(answer) if matches!(answer.variant(), Some(("Err", _))) => Err(answer.get("Err").to_string()),
        _ => Ok(()),
    }
}

/// Let the node serve a page to whoever has signed in, without asking us.
pub fn serve(path: &str, mime: &str, page: &str) -> Result<(), String> {
    let fields = [("path", path.into()), ("authenticated", true.into()), ("local_only", false.into()), ("cache", true.into())];
    bind(tagged("Bind", object(fields)), Some(Blob { mime: Some(mime.to_string()), bytes: page.into() }))
}

/// Answer the requests for a path ourselves, of those who have signed in.
pub fn bind_path(path: &str) -> Result<(), String> {
    let fields = [("path", path.into()), ("authenticated", true.into()), ("local_only", false.into()), ("cache", false.into())];
    bind(tagged("Bind", object(fields)), None)
}

/// Take WebSockets at a path, of those who have signed in.
pub fn bind_web_socket(path: &str) -> Result<(), String> {
    let fields = [("path", path.into()), ("authenticated", true.into()), ("extension", false.into())];
    bind(tagged("WebSocketBind", object(fields)), None)
}

/// What a browser has done; None: the request is of another process.
pub fn parse(our: &Address, request: &Request) -> Option<Event> {
    if request.source.node != our.node || request.source.process.to_string() != SERVER {
        return None;
    }
    let body = Json::parse(&request.body).ok()?;
    let (name, said) = body.variant()?;
    let word = |key: &str| said.get(key).text().unwrap_or("").to_string();
    Some(match name {
        "Http" => Event::Page { method: word("method"), path: word("bound_path"), url: word("url") },
        "WebSocketOpen" => Event::Open { channel: said.get("channel_id").u64()?, path: word("path") },
        "WebSocketPush" => Event::Message { channel: said.get("channel_id").u64()?, text: word("message_type") == "Text" },
        "WebSocketClose" => Event::Close { channel: said.u64()? },
        _ => return None,
    })
}

/// Answer a `Page`.
pub fn answer(status: u64, mime: &str, body: &str) {
    let mut reply = Reply::of(object([("status", status.into()), ("headers", Json::Object(Vec::new()))]));
    reply.blob = Some(Blob { mime: Some(mime.to_string()), bytes: body.into() });
    respond(reply)
}

/// Send a text by an open WebSocket.
pub fn push(channel: u64, text: &str) {
    let fields = [("channel_id", channel.into()), ("message_type", "Text".into())];
    send(&Outgoing::to(Address::local(SERVER), tagged("WebSocketPush", object(fields))).with_blob(text))
}
