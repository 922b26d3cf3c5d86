// The answer on the page: blocks as the command line prints them, put where they belong.
"use strict";

const $id = (name) => document.getElementById(name);

function make(name, { text, ...attributes } = {}, children = []) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null) node.setAttribute(key, value);
  }
  if (text !== undefined) node.textContent = text;
  node.append(...children);
  return node;
}

const micro = (text) => text.replace(/(\d) us\b/g, "$1 µs");

// Change a node's text only where it differs: what stays is not painted again. The text's own node is
// kept: a new one would have to be styled and put into the tree of boxes.
function say(node, text) {
  const only = node.firstChild;
  if (only && only.nodeType === Node.TEXT_NODE && !only.nextSibling) {
    if (only.data !== text) only.data = text;
  } else if (node.textContent !== text) node.textContent = text;
}

// What is on the screen: the rest of a move's answer can wait until the moves pause.
const SEEN = new Set(["policies", "timeline", "gain"].map($id));
const sight = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) SEEN[isIntersecting ? "add" : "delete"](target);
});
SEEN.forEach((box) => sight.observe(box));

// ---------------------------------------------------------------------------------------- blocks

function tableShape(block) {
  return JSON.stringify([block.columns, block.caption, block.rows.length, block.rows.map((r) => r[0].text)]);
}

// Columns of the table of policies that do not rest on the lock's queue: the hold and its safety.
const OF_THE_HOLD = ["policy", "safe", "excl.", "shared"];

// Fill a table in place; build it anew where its shape has changed.
function showTable(box, block, pending, hidden = false) {
  const shape = tableShape(block), gain = block.columns.findIndex((c) => c.name.startsWith("net gain"));
  const safe = block.columns.findIndex((c) => c.name === "safe"), sure = block.columns.findIndex((c) => c.name.startsWith("P("));
  if (box.dataset.shape !== shape) {
    const head = make("tr", {}, block.columns.map((c, i) => make("th", { text: c.name, scope: "col",
      class: [c.right ? "right" : "", i === gain ? "gain" : ""].filter(Boolean).join(" ") || null })));
    const body = block.rows.map((row) => make("tr", {}, row.map((cell, i) => make(i ? "td" : "th", i ? {} : { scope: "row", text: cell.text }))));
    const table = make("table", {}, [make("caption", { text: block.caption }), make("thead", {}, [head]), make("tbody", {}, body)]);
    box.replaceChildren(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "table" }, [table]));
    box.dataset.shape = shape;
  }
  const rows = box.querySelectorAll("tbody tr");
  block.rows.forEach((row, r) => {
    const unsafe = safe >= 0 && row[safe].text === "NO";
    rows[r].className = unsafe ? "unsafe" : "";
    row.forEach((cell, i) => {
      if (!i) return;
      const node = rows[r].children[i];
      const waits = pending && (i === sure) && cell.text !== "";
      const kept = !hidden || OF_THE_HOLD.includes(block.columns[i].name) || cell.text === "n/a" || cell.text === "";
      say(node, !kept ? "–" : waits ? "…" : micro(cell.text));
      const tone = kept ? cell.tone : "dim";
      const name = [block.columns[i].right ? "right" : "", tone === "plain" ? "" : tone,
        i === gain && unsafe && kept ? "gain" : "", cell.text.length > 60 ? "wide" : ""].filter(Boolean).join(" ");
      if (node.className !== name) node.className = name;
    });
  });
}

function showBlocks(box, blocks) {
  // One child a block, kept as long as the kinds stay.
  const kinds = blocks.map((b) => b.kind).join(" ");
  if (box.dataset.kinds !== kinds) {
    box.replaceChildren(...blocks.map((b) => make(b.kind === "Bullets" ? "ul" : b.kind === "Heading" ? "h3" : b.kind === "Text" ? "p" : "div")));
    box.dataset.kinds = kinds;
  }
  blocks.forEach((block, i) => {
    const node = box.children[i];
    if (block.kind === "Table") showTable(node, block, false);
    else if (block.kind === "Bullets") {
      while (node.children.length > block.items.length) node.lastChild.remove();
      while (node.children.length < block.items.length) node.append(make("li"));
      block.items.forEach((item, k) => say(node.children[k], micro(item)));
    } else say(node, micro(block.text));
  });
}

// ---------------------------------------------------------------------------------------- the answer

const gainOf = (view, name) => view.results.find((r) => r.name === name);

// Paragraphs of the verdict: a class, and pieces of text with the element that each stands in.
function verdictParts(view, { pending, command }) {
  const headline = view.blocks.find((b) => b.kind === "Text"), verdict = view.verdict;
  const best = gainOf(view, verdict.policy);
  if (view.outside.length > 0) {
    return [
      ["headline", ["span", "NOT IN THIS PAGE"]],
      ["", ["span", `The closed form's error is not known here: it was checked only where ${view.outside.join("; and where ")}.`]],
      ["", ["span", "Ask the other solvers: "], ["code", command]],
      ["", ["span", verdict.answer === "unsafe" || !best ? `${verdict.policy} is unsafe as it stands, whatever it would gain.`
        : "What is safe and what is held stands below; it does not depend on the queue."]],
    ];
  }
  const parts = [["headline", ["span", micro(headline.text) + (pending ? " (estimate)" : "")]]];
  if (best && Number.isFinite(best.gain.estimate) && verdict.policy !== "none") {
    const what = best.safe ? "net gain of one call" : "hypothetical net gain of one call, were it safe";
    parts.push(["key-numbers", ["b", `${verdict.policy}: `],
      ["span", `${what} ${micro(best.gain.text)}${pending ? "" : " (90 %)"}, P(pays) ${pending ? "…" : best.sure}. Best safe policy: `],
      ["b", verdict.best_safe_policy === "none" ? "no downgrade" : verdict.best_safe_policy], ["span", "."]]);
  }
  if (pending) parts.push(["", ["span", "The sentences to quote follow when the interval is there."]]);
  else parts.push(...micro(verdict.sentence).split(/(?<=\.) (?=[A-Z])/).map((text) => ["", ["span", text]]));
  return parts;
}

// A command whose options are not broken at their hyphens.
const commandPieces = (command) => command.split(/ (?=--)/).flatMap((option, i) => [...(i ? [" "] : []), make("span", { class: "option", text: option })]);

// The headline: what the page cannot answer, then safety, then whether it pays.
function showVerdict(box, view, given) {
  const parts = verdictParts(view, given), headline = view.blocks.find((b) => b.kind === "Text");
  const tone = view.outside.length ? "bad" : headline.tone === "good" || headline.tone === "bad" ? headline.tone : "";
  if (box.className !== tone) box.className = tone;
  const shape = JSON.stringify(parts.map(([name, ...pieces]) => [name, pieces.map(([kind, text]) => (kind === "code" ? text : kind))]));
  // What stands below does not jump while a slider moves: an estimate leaves the sentences' room.
  if (!given.pending) box.style.minHeight = "";
  if (box.dataset.shape !== shape) {
    box.dataset.shape = shape;
    box.replaceChildren(...parts.map(([name, ...pieces]) => make("p", { class: name || null }, pieces.map(([kind, text]) => (
      kind === "code" ? make(kind, {}, commandPieces(text)) : make(kind, { text }))))));
  } else {
    // The same text again would be read out again: only what differs is written.
    parts.forEach(([, ...pieces], i) => pieces.forEach(([kind, text], k) => { if (kind !== "code") say(box.children[i].children[k], text); }));
  }
  if (!given.pending) box.style.minHeight = `${box.offsetHeight}px`;
}

function quoteOf(view, link, command) {
  const said = view.outside.length
    ? `The closed form's error is not known here: it was checked only where ${view.outside.join("; and where ")}. Ask the other solvers:`
    : view.verdict.sentence;
  return `${said}\n${view.blocks.filter((b) => b.kind === "Bullets")[0].items.join("\n")}\n${command}\n${link}\n`;
}

const TIMELINE = new Timeline($id("timeline"));
const tableOf = (view) => view.blocks.findIndex((b) => b.kind === "Table");

// What a move changes before the eyes of whoever moves.
function showAtOnce(view, given) {
  showVerdict($id("verdict"), view, given);
  if (SEEN.has($id("policies"))) showPolicies(view, given);
  if (SEEN.has($id("timeline"))) TIMELINE.show(view.results);
}

const showPolicies = (view, given) => showTable($id("policies"), view.blocks[tableOf(view)], given.pending,
  view.outside.length > 0 && !given.unchecked);

// What can wait until the moves pause. Everything before the first table is the verdict's; what
// follows it stands behind the answer.
function showRest(view, given) {
  const table = tableOf(view), after = view.blocks.slice(table + 1), hidden = view.outside.length > 0 && !given.unchecked;
  showBlocks($id("about"), view.blocks.slice(0, table).filter((b) => b.kind === "Heading" || b.kind === "Bullets"));
  for (const name of ["policies", "gain", "behind"]) $id(name).classList.toggle("unchecked", view.outside.length > 0 && given.unchecked);
  $id("unchecked").hidden = view.outside.length === 0;
  showPolicies(view, given);
  TIMELINE.show(view.results);
  TIMELINE.describe();
  showBlocks($id("behind"), [...after.filter((b) => !hidden || b.kind !== "Table"), ...(view.notes.length ? [{ kind: "Bullets", items: view.notes }] : [])]);
}

function showView(view, given) {
  showAtOnce(view, given);
  showRest(view, given);
}
