//! Notes as files, which other nodes may read.
//!
//!     {"Write":{"name":"a","text":"x"}}  →  "Written"      on this node alone; it is on the disk then
//!     {"Read":"a"}  →  {"Text":"x"} or "Missing"           from any node

use nectar::json::tagged;
use nectar::{receive, respond, vfs, Address, Event, Json, Reply, Request};

nectar::process!(run);

fn run(our: Address) {
    vfs::create_drive(&vfs::drive(&our, "notes")).expect("a drive for notes");
    loop {
        match receive() {
            Event::Request(request) if request.wants_answer() => {
                let answer = handle(&our, request).unwrap_or_else(|why| tagged("Err", why));
                respond(Reply::of(answer))
            }
            _ => {}
        }
    }
}

fn handle(our: &Address, request: Request) -> Result<Json, &'static str> {
    let body = Json::parse(&request.body).unwrap_or(Json::Null);
    match body.variant() {
        Some(("Write", note)) if request.source.node == our.node => {
            let path = find(our, note.get("name").text())?;
            let text = note.get("text").text().ok_or("a note has a text")?;
            vfs::write(&path, text.as_bytes()).map_err(|_| "the disk does not take it")?;
            vfs::sync(&path).map_err(|_| "the disk does not keep it")?;
            Ok("Written".into())
        }
        Some(("Read", name)) => match vfs::read(&find(our, name.text())?) {
            Ok(bytes) => Ok(tagged("Text", String::from_utf8_lossy(&bytes).as_ref())),
            Err(vfs::Error::NotFound) => Ok("Missing".into()),
            Err(_) => Err("the disk does not give it"),
        },
        _ => Err("not a Write of this node, or a Read"),
    }
}

/// The path of a note. What others say is no path: it could lead anywhere.
fn find(our: &Address, name: Option<&str>) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name {
        Some(name) if (1..=100).contains(&name.len()) && name.chars().all(fits) => {
            Ok(format!("{}/{}.txt", vfs::drive(our, "notes"), name))
        }
        _ => Err("a name is letters, digits, - and _"),
    }
}
