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

// Change a node's text only where it differs: what stays is not painted again.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

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
      say(node, !kept ? "not here" : waits ? "…" : micro(cell.text));
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

// The headline: what the page cannot answer, then safety, then whether it pays.
function showVerdict(box, view, { pending, command }) {
  const headline = view.blocks.find((b) => b.kind === "Text"), verdict = view.verdict;
  const best = gainOf(view, verdict.policy), parts = [];
  const outside = view.outside.length > 0;
  const tone = outside ? "bad" : headline.tone === "good" || headline.tone === "bad" ? headline.tone : "";
  if (box.className !== tone) box.className = tone;
  if (outside) {
    parts.push(make("p", { class: "headline", text: "NOT IN THIS PAGE" }));
    parts.push(make("p", { text: `The closed form's error is not known here: it was checked only where ${view.outside.join("; and where ")}.` }));
    parts.push(make("p", {}, ["Ask the other solvers: ", make("code", { text: command })]));
    parts.push(make("p", { text: verdict.answer === "unsafe" || !best ? `${verdict.policy} is unsafe as it stands, whatever it would gain.`
      : "What is safe and what is held stands below; it does not depend on the queue." }));
  } else {
    parts.push(make("p", { class: "headline", text: micro(headline.text) + (pending ? " (estimate)" : "") }));
    if (best && Number.isFinite(best.gain.estimate) && verdict.policy !== "none") {
      const sure = pending ? "…" : best.sure;
      const what = best.safe ? "net gain of one call" : "hypothetical net gain of one call, were it safe";
      parts.push(make("p", { class: "key-numbers" }, [
        make("b", { text: `${verdict.policy}: ` }), `${what} ${micro(best.gain.text)}${pending ? "" : " (90 %)"}, P(pays) ${sure}. `,
        `Best safe policy: `, make("b", { text: verdict.best_safe_policy === "none" ? "no downgrade" : verdict.best_safe_policy }), ".",
      ]));
    }
    if (pending) parts.push(make("p", { text: "The sentences to quote follow when the interval is there." }));
    else parts.push(...micro(verdict.sentence).split(/(?<=\.) (?=[A-Z])/).map((text) => make("p", { text })));
  }
  // The same text again would be read out again.
  const key = parts.map((p) => p.textContent).join("\n");
  if (box.dataset.key !== key) {
    box.dataset.key = key;
    // What stands below does not jump while a slider moves: an estimate leaves the sentences' room.
    if (!pending) box.style.minHeight = "";
    box.replaceChildren(...parts);
    if (!pending) box.style.minHeight = `${box.offsetHeight}px`;
  }
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
  showTable($id("policies"), view.blocks[tableOf(view)], given.pending, view.outside.length > 0 && !given.unchecked);
  TIMELINE.show(view.results);
}

// What can wait until the moves pause. Everything before the first table is the verdict's; what
// follows it stands behind the answer.
function showRest(view, given) {
  const table = tableOf(view), after = view.blocks.slice(table + 1), hidden = view.outside.length > 0 && !given.unchecked;
  showBlocks($id("about"), view.blocks.slice(0, table).filter((b) => b.kind === "Heading" || b.kind === "Bullets"));
  for (const name of ["policies", "gain", "behind"]) $id(name).classList.toggle("unchecked", view.outside.length > 0 && given.unchecked);
  $id("unchecked").hidden = view.outside.length === 0;
  TIMELINE.describe();
  showBlocks($id("behind"), [...after.filter((b) => !hidden || b.kind !== "Table"), ...(view.notes.length ? [{ kind: "Bullets", items: view.notes }] : [])]);
}

function showView(view, given) {
  showAtOnce(view, given);
  showRest(view, given);
}
