// Pictures as SVG: the phases of a hold, and the net gain against one parameter.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function draw(parent, name, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== "") node.textContent = text;
  parent.append(node);
  return node;
}

// Write an attribute where it differs, pixels to a tenth: what stays is neither styled nor painted again.
function put(node, name, value) {
  const text = String(typeof value === "number" ? Math.round(10 * value) / 10 : value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

function niceStep(span, count) {
  const rough = span / count, power = 10 ** Math.floor(Math.log10(rough)), size = rough / power;
  return (size > 5 ? 10 : size > 2 ? 5 : size > 1 ? 2 : 1) * power;
}

const MODES = { exclusive: "write lock: faults wait", shared: "read lock: faults run", outside: "no lock held" };

function patterns(svg, id) {
  const defs = draw(svg, "defs");
  const hatch = draw(defs, "pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  draw(hatch, "rect", { width: 6, height: 6, class: "exclusive" });
  draw(hatch, "line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch" });
}

// Pixels that a picture is drawn for: the text keeps its size in a narrow window.
const widthOf = (box) => Math.max(340, Math.min(880, Math.round(box.clientWidth || 880)));

// Which lock a call holds, piece by piece; one row a policy. A move changes what stands there: nodes
// are made anew only where a policy or a piece has come or gone.
class Timeline {
  constructor(box) {
    this.box = box;
    this.shape = "";
  }

  show(results) {
    const rows = results.filter((r) => r.phases.length && r.phases.every((p) => Number.isFinite(p.ns)));
    const shape = JSON.stringify(rows.map((r) => [r.name, r.safe, r.phases.map((p) => [p.name, p.mode])]));
    if (shape !== this.shape) this.build(rows);
    this.shape = shape;
    const { left, right, width } = this;
    const most = Math.max(1e-9, ...rows.map((r) => r.phases.reduce((n, p) => n + p.ns, 0)));
    const scale = (width - left - right) / most, step = niceStep(most, width > 600 ? 5 : 2);
    this.ticks.forEach(({ line, text }, k) => {
      const shown = k * step <= most * 1.0001, x = left + k * step * scale;
      for (const node of [line, text]) put(node, "visibility", shown ? "visible" : "hidden");
      if (!shown) return;
      put(line, "x1", x);
      put(line, "x2", x);
      put(text, "x", x);
      say(text, timeText(k * step, 2));
    });
    rows.forEach((r, i) => {
      let x = left;
      const row = this.rows[i];
      r.phases.forEach((phase, k) => {
        const w = Math.max(0, phase.ns * scale), { bar, back, word, seam } = row.pieces[k];
        const named = w > 7 * phase.name.length + 8;
        put(bar, "x", x);
        put(bar, "width", w);
        put(word, "visibility", named ? "visible" : "hidden");
        if (named) put(word, "x", x + 5);
        if (back) {
          put(back, "visibility", named ? "visible" : "hidden");
          if (named) put(back, "x", x + 3);
        }
        put(seam, "visibility", w > 0 && x > left ? "visible" : "hidden");
        put(seam, "transform", `translate(${x.toFixed(1)},0)`);
        x += w;
      });
      say(row.sum, right > 100 ? `excl. ${r.exclusive}, shared ${r.shared}` : r.exclusive);
    });
    this.shown = rows;
  }

  // What only a pointer or a screen reader asks for; it follows when the moves pause.
  describe() {
    this.shown.forEach((r, i) => r.phases.forEach((phase, k) => {
      say(this.rows[i].pieces[k].title, `${phase.name}: ${phase.text}, ${MODES[phase.mode]}`);
    }));
    this.svg.setAttribute("aria-label", this.shown.map((r) => `${r.name}: ${r.exclusive} under the write lock,`
      + ` ${r.shared} under the read lock`).join("; "));
  }

  build(rows) {
    const width = widthOf(this.box), narrow = width < 600, left = narrow ? 96 : 148, right = narrow ? 66 : 190, high = 34, top = 8;
    const height = top + rows.length * high + 34;
    Object.assign(this, { width, left, right });
    const svg = this.svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    patterns(svg, "hatched");
    this.ticks = Array.from({ length: 7 }, () => ({
      line: draw(svg, "line", { y1: top, y2: height - 28, class: "grid" }),
      text: draw(svg, "text", { y: height - 12, class: "tick", "text-anchor": "middle" }),
    }));
    this.rows = rows.map((r, i) => {
      const y = top + i * high;
      draw(svg, "text", { x: left - 8, y: y + 16, class: "name", "text-anchor": "end" }, r.name);
      if (!r.safe) draw(svg, "text", { x: left - 8, y: y + 29, class: "flag", "text-anchor": "end" }, "unsafe");
      const pieces = r.phases.map((phase) => {
        const hatched = phase.mode === "exclusive";
        const bar = draw(svg, "rect", { y: y + 4, height: high - 10, ...(hatched ? { fill: "url(#hatched)" } : { class: phase.mode }) });
        const back = hatched ? draw(svg, "rect", { y: y + 8, width: 6.6 * phase.name.length + 4, height: 16, class: "exclusive" }) : null;
        const word = draw(svg, "text", { y: y + 20, class: `piece on-${phase.mode}` }, phase.name);
        const seam = draw(svg, "line", { x1: 0, y1: y + 4, x2: 0, y2: y + high - 6, class: "seam" });
        return { bar, back, word, seam, title: draw(bar, "title") };
      });
      return { pieces, sum: draw(svg, "text", { x: width - right + 8, y: y + 20, class: "sum" }) };
    });
    this.box.replaceChildren(svg);
  }
}

// --------------------------------------------------------------------------------------- net gain

// Linear below 10 ns and logarithmic above, for gains and losses.
const BEND = 10;
const bent = (y) => Math.asinh(y / BEND);

function gainTicks(low, high) {
  const steps = [];
  for (let k = 10; k <= 1e12; k *= 10) steps.push(k);
  const all = [...steps.map((s) => -s).reverse(), 0, ...steps].filter((v) => v >= low && v <= high);
  const every = Math.max(1, Math.ceil(all.length / 8)), zero = all.indexOf(0);
  return all.filter((_, i) => (i - zero) % every === 0);
}

function axisText(value) {
  if (Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-3)) return value.toExponential(0).replace("e+", "e");
  return Number(value.toPrecision(3)).toLocaleString("en-US");
}

class GainChart {
  constructor(box) {
    this.box = box;
    this.answer = null;
  }

  // Where a value lies on the abscissa.
  place(value) {
    const { control, values } = this.answer, a = values[0], b = values[values.length - 1];
    const of = control.log ? (v) => Math.log(Math.max(v, a * 1e-3)) : (v) => v;
    return this.left + ((of(value) - of(a)) / (of(b) - of(a))) * (this.right - this.left);
  }

  // The line at the scenario's own value moves at once; the curves follow when they are known.
  mark(value) {
    if (!this.answer || !this.marker) return;
    const inside = Number.isFinite(value) && value >= this.answer.values[0] && value <= this.answer.values[this.answer.values.length - 1];
    put(this.marker, "visibility", inside ? "visible" : "hidden");
    if (!inside) return;
    const x = this.place(value), late = x > this.right - 90, text = this.marker.lastChild;
    put(this.marker, "transform", `translate(${x.toFixed(1)},0)`);
    put(text, "x", late ? -4 : 4);
    put(text, "text-anchor", late ? "end" : "start");
  }

  show(answer, current, unchecked) {
    this.answer = answer;
    const { control, values, roots } = answer;
    // A number whose error is not known is not shown unless somebody asks for it.
    const lines = Object.fromEntries(Object.entries(answer.lines).map(([name, line]) => [name,
      line.map((p) => (p.known || unchecked ? p : { ...p, gain: NaN }))]));
    const width = widthOf(this.box), narrow = width < 600, height = narrow ? 300 : 380, top = 14, bottom = height - 46;
    Object.assign(this, { left: narrow ? 62 : 84, right: width - (narrow ? 92 : 172), top, bottom });
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    const known = Object.values(lines).flat().map((p) => p.gain).filter(Number.isFinite);
    const low = Math.min(-BEND, ...known) * 1.2, high = Math.max(BEND, ...known) * 1.2;
    const y = (v) => bottom - ((bent(v) - bent(low)) / (bent(high) - bent(low))) * (bottom - top);
    for (const v of gainTicks(low, high)) {
      draw(svg, "line", { x1: this.left, x2: this.right, y1: y(v), y2: y(v), class: v === 0 ? "zero" : "grid" });
      draw(svg, "text", { x: this.left - 8, y: y(v) + 4, class: "tick", "text-anchor": "end" }, v === 0 ? "0" : `${v > 0 ? "+" : "−"}${timeText(Math.abs(v), 1)}`);
    }
    const a = values[0], b = values[values.length - 1], ticks = [];
    if (control.log) {
      const decades = Math.log10(b / a), every = narrow && decades > 4 ? 100 : 10;
      for (let p = 10 ** Math.ceil(Math.log10(a) - 1e-9); p <= b * 1.0001; p *= every) ticks.push(p);
    } else {
      const step = Math.max(niceStep(b - a, narrow ? 3 : 6), control.integer ? 1 : 0);
      for (let p = Math.ceil(a / step) * step; p <= b * 1.0001; p += step) ticks.push(p);
    }
    for (const v of ticks) {
      draw(svg, "line", { x1: this.place(v), x2: this.place(v), y1: top, y2: bottom, class: "grid" });
      draw(svg, "text", { x: this.place(v), y: bottom + 17, class: "tick", "text-anchor": "middle" }, axisText(v));
    }
    draw(svg, "text", { x: (this.left + this.right) / 2, y: height - 8, class: "axis", "text-anchor": "middle" }, control.label);
    draw(svg, "text", { x: 14, y: (top + bottom) / 2, class: "axis", "text-anchor": "middle", transform: `rotate(-90 14 ${(top + bottom) / 2})` }, "net gain of one call");
    this.marker = draw(svg, "g", { class: "here", visibility: "hidden" });
    draw(this.marker, "line", { x1: 0, x2: 0, y1: top, y2: bottom });
    draw(this.marker, "text", { x: 4, y: top + 10 }, "your scenario");
    const ends = [];
    for (const [name, line] of Object.entries(lines)) {
      const run = draw(svg, "g", { class: `line ${name}` });
      for (const sure of [true, false]) {
        // Dotted where the closed form's error is not known.
        let path = "", pen = false;
        line.forEach((p, i) => {
          const wanted = Number.isFinite(p.gain) && (sure ? p.known : !p.known || (i > 0 && !line[i - 1].known) || (i + 1 < line.length && !line[i + 1].known));
          if (wanted) path += `${pen ? "L" : "M"}${this.place(values[i]).toFixed(1)},${y(p.gain).toFixed(1)}`;
          pen = wanted;
        });
        if (path) draw(run, "path", { d: path, class: sure ? "known" : "unknown" });
      }
      const last = line.findLastIndex((p) => Number.isFinite(p.gain));
      if (last >= 0) ends.push({ name, at: y(line[last].gain), safe: line.every((p) => p.safe), x: this.place(values[last]) });
    }
    // Names beside the ends of their lines, moved apart where they would lie on each other.
    ends.sort((p, q) => p.at - q.at);
    ends.forEach((e, i) => { e.label = Math.max(e.at + 4, i ? ends[i - 1].label + 15 : top + 8); });
    for (let i = ends.length - 1, floor = bottom + 4; i >= 0; i--) {
      ends[i].label = Math.min(ends[i].label, floor);
      floor = ends[i].label - 15;
    }
    for (const e of ends) {
      draw(svg, "line", { x1: e.x, y1: e.at, x2: this.right + 6, y2: e.label - 4, class: `lead ${e.name}` });
      draw(svg, "text", { x: this.right + 9, y: e.label, class: `label ${e.name}` }, e.safe || narrow ? e.name : `${e.name} (unsafe)`);
    }
    const shown = roots.filter((r) => r.known || unchecked);
    for (const root of shown) {
      const x = this.place(root.at);
      const mark = draw(svg, "g", { class: `root ${root.policy}` });
      draw(mark, "path", { d: `M${x},${y(0) - 6}L${x + 5},${y(0)}L${x},${y(0) + 6}L${x - 5},${y(0)}Z` });
      draw(mark, "title", {}, `${root.policy}: break-even at ${axisText(root.at)}`);
    }
    const turns = shown.map((r) => `${r.policy} ${r.rises ? "gains" : "loses"} from ${control.integer ? r.at.toLocaleString("en-US") : Number(r.at.toPrecision(3))} on`);
    this.turns = turns.join("; ");
    svg.setAttribute("aria-label", `Net gain of one call against ${control.label}, from ${axisText(a)} to ${axisText(b)}. ${this.turns || "No policy turns its sign in this range"}.`);
    this.known = known.length > 0;
    if (!this.known) draw(svg, "text", { x: (this.left + this.right) / 2, y: (top + bottom) / 2 - 12, "text-anchor": "middle" }, "NOT IN THIS PAGE: the closed form's error is not known at any of these values");
    this.box.replaceChildren(svg);
    this.mark(current);
  }
}
