// The page of a chat: what it shows and what it sends goes over one WebSocket. Texts of others become text alone.

const RETRY = 1000; // milliseconds until a connection that is gone is made again
const lines = document.getElementById("lines");
const state = document.getElementById("state");
const form = document.getElementById("say");
const items = new Map(); // by the line's id
let socket;

const words = {
  Sent: () => "on its way",
  Heard: () => "delivered",
  Offline: (node) => `not delivered: ${node} is offline`,
  Timeout: (node) => `perhaps not delivered: ${node} did not answer`,
  Refused: (node) => `refused by ${node}`,
};

const news = {
  Hello({ node, lines: all }) {
    document.getElementById("node").textContent = node;
    lines.replaceChildren();
    items.clear();
    all.forEach(show);
    say("Connected");
  },
  Line: show,
  Err: say,
};

function say(text) {
  state.textContent = text;
}

function element(name, text, kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = kind;
  return made;
}

function show(line) {
  const { id, node, mine, text } = line;
  const lost = mine && !["Sent", "Heard"].includes(line.state);
  const item = element("li", "", mine ? "mine" : "");
  item.append(element("p", text));
  item.append(element("small", mine ? `to ${node}, ${words[line.state](node)}` : `from ${node}`, lost ? "wrong" : ""));
  if (lost) {
    const again = element("button", "Send again");
    again.addEventListener("click", () => send({ Again: id }));
    item.append(" ", again);
  }
  if (items.has(id)) items.get(id).replaceWith(item);
  else lines.append(item);
  items.set(id, item);
  item.scrollIntoView({ block: "nearest" });
}

function send(order) {
  if (socket.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(order));
  return true;
}

function connect() {
  const url = new URL("lines", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(url);
  socket.addEventListener("message", ({ data }) => {
    const [[kind, value]] = Object.entries(JSON.parse(data));
    news[kind](value);
  });
  socket.addEventListener("close", () => {
    say("Not connected: the node is not there, or you have to sign in again. Trying …");
    setTimeout(connect, RETRY);
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { to, text } = form.elements;
  if (!send({ Say: { to: to.value.trim(), text: text.value } })) return;
  text.value = "";
  text.focus();
});

connect();
