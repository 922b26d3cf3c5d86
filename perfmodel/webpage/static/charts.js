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

const timeText = (ns, digits = 3) => MODEL.time_text(ns, digits).replace("us", "µs");

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

// Which lock a call holds, piece by piece; one row a policy.
function timeline(box, results) {
  const rows = results.filter((r) => r.phases.length && r.phases.every((p) => Number.isFinite(p.ns)));
  const width = 880, left = 148, right = 190, high = 34, top = 8, height = top + rows.length * high + 34;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  const sums = rows.map((r) => {
    const of = (mode) => r.phases.filter((p) => p.mode === mode).reduce((n, p) => n + p.ns, 0);
    return { exclusive: of("exclusive"), shared: of("shared"), outside: of("outside") };
  });
  svg.setAttribute("aria-label", rows.map((r, i) => `${r.name}: ${timeText(sums[i].exclusive)} under the write lock,`
    + ` ${timeText(sums[i].shared)} under the read lock`).join("; "));
  patterns(svg, "hatched");
  const most = Math.max(1e-9, ...sums.map((s) => s.exclusive + s.shared + s.outside));
  const scale = (width - left - right) / most;
  const step = niceStep(most, 5);
  for (let t = 0; t <= most * 1.0001; t += step) {
    const x = left + t * scale;
    draw(svg, "line", { x1: x, y1: top, x2: x, y2: height - 28, class: "grid" });
    draw(svg, "text", { x, y: height - 12, class: "tick", "text-anchor": "middle" }, timeText(t, 2));
  }
  rows.forEach((r, i) => {
    const y = top + i * high;
    draw(svg, "text", { x: left - 8, y: y + 16, class: "name", "text-anchor": "end" }, r.name);
    if (!r.safe) draw(svg, "text", { x: left - 8, y: y + 29, class: "flag", "text-anchor": "end" }, "unsafe");
    let x = left;
    for (const phase of r.phases) {
      const w = phase.ns * scale;
      if (w <= 0) continue;
      const fill = phase.mode === "exclusive" ? { fill: "url(#hatched)" } : { class: phase.mode };
      const bar = draw(svg, "rect", { x, y: y + 4, width: w, height: high - 10, ...fill });
      draw(bar, "title", {}, `${phase.name}: ${timeText(phase.ns)}, ${MODES[phase.mode]}`);
      if (w > 7 * phase.name.length + 8) {
        if (phase.mode === "exclusive") {
          draw(svg, "rect", { x: x + 3, y: y + 8, width: 6.6 * phase.name.length + 4, height: 16, class: "exclusive" });
        }
        draw(svg, "text", { x: x + 5, y: y + 20, class: `piece on-${phase.mode}` }, phase.name);
      }
      if (x > left) draw(svg, "line", { x1: x, y1: y + 4, x2: x, y2: y + high - 6, class: "seam" });
      x += w;
    }
    draw(svg, "text", { x: width - right + 10, y: y + 20, class: "sum" },
      `excl. ${timeText(sums[i].exclusive)}, shared ${timeText(sums[i].shared)}`);
  });
  box.replaceChildren(svg);
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
    this.marker.setAttribute("visibility", inside ? "visible" : "hidden");
    if (!inside) return;
    const x = this.place(value), late = x > this.right - 90, text = this.marker.lastChild;
    this.marker.setAttribute("transform", `translate(${x},0)`);
    text.setAttribute("x", late ? -4 : 4);
    text.setAttribute("text-anchor", late ? "end" : "start");
  }

  show(answer, current, unchecked) {
    this.answer = answer;
    const { control, values, roots } = answer;
    // A number whose error is not known is not shown unless somebody asks for it.
    const lines = Object.fromEntries(Object.entries(answer.lines).map(([name, line]) => [name,
      line.map((p) => (p.known || unchecked ? p : { ...p, gain: NaN }))]));
    const width = 880, height = 380, top = 14, bottom = height - 46;
    Object.assign(this, { left: 84, right: width - 172, top, bottom });
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
      for (let p = 10 ** Math.ceil(Math.log10(a) - 1e-9); p <= b * 1.0001; p *= 10) ticks.push(p);
    } else {
      const step = Math.max(niceStep(b - a, 6), control.integer ? 1 : 0);
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
      draw(svg, "text", { x: this.right + 9, y: e.label, class: `label ${e.name}` }, e.safe ? e.name : `${e.name} (unsafe)`);
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
