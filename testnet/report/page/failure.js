"use strict";

/* The failure: what failed, what led there, the faults before, and the last state of each process involved. */

const STORY = makeStory();

function makeStory() {
  const told = (DATA.story?.told ?? []).map(([at, text, lines, root, bad]) => ({ at, text, lines, root, bad }));
  const items = new Set(told.flatMap(({ root }) => (root === null ? [] : PICTURE.lineages.get(root) ?? [])));
  return { told, items };
}

/** Return the item that a line of the journal is about. */
function itemOfLine(line) {
  return PICTURE.items.find((item) => item.line === line || item.row.lines?.includes(line)) ?? null;
}

function showFailure(page) {
  const { story } = DATA;
  const section = byId("failure");
  section.hidden = !story;
  if (!story) return;
  const where = story.place ? ` in ${story.place}` : "";
  const there = PICTURE.items.find((item) => item.shape === "rule") ?? null;
  const heading = element("button", { type: "button", textContent: `Failed at ${story.at.toFixed(3)} s${where}` });
  heading.addEventListener("click", () => (there ? page.select(there) : page.goTo(story.at)));
  const box = element("div", { className: "failed-here" }, heading);
  if (story.source) box.append(element("code", { textContent: story.source }));
  box.append(element("pre", { textContent: story.text.join("\n") }));
  section.replaceChildren(box, toldList(page), besides(story));
}

function toldList(page) {
  const list = element("ol");
  for (const { at, text, lines, bad } of STORY.told) {
    const button = element("button", { type: "button", className: bad ? "bad" : "", onclick: () => page.select(itemOfLine(lines[lines.length - 1])) });
    button.append(element("small", { textContent: `${at.toFixed(3)} s ` }), text);
    list.append(element("li", {}, button));
  }
  const none = element("p", { className: "quiet", textContent: "The journal has no message that was lost or given up before." });
  return element("div", {}, element("h2", { textContent: "What led there" }), STORY.told.length ? list : none);
}

function besides({ faults, states }) {
  const before = element("ul", {}, ...(faults.length ? faults : ["none"]).map((words) => element("li", { textContent: words })));
  const list = facts(states.flatMap(([process, words]) => words.map((each, index) => [index ? " " : process, each])));
  return element("div", {}, element("h2", { textContent: "Faults before" }), before, element("h2", { textContent: "Last states" }), list);
}
