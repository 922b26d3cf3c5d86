// What the page asks of the model: one prediction, its spread over the draws, a sweep. It runs in the
// page itself and in its workers; answers are plain objects, so that they can be sent.
"use strict";

// Draws worked on at once: short enough that a newer question is seen soon. Progress is told less often: each
// word of it costs a frame, for whose end a move has to wait.
const CHUNK = 25, TOLD = 100;

function scenarioOf(given) {
  return $kwm(MODEL.Scenario, "from_dict", [dictOf(given)], []);
}

function changed(scenario, changes) {
  return $kwm(scenario, "replace", [], changes);
}

function predicted(scenario, { draws = 1, levels, guards = true } = {}) {
  const pairs = [["draws", draws], ["solver", "closed"], ["guards", guards]];
  if (levels) pairs.push(["levels", levels]);
  warnings.list = [];
  return $kw(MODEL.predict, [scenario], pairs);
}

// ------------------------------------------------------------------------------------ what is shown

const cellOf = (cell) => (typeof cell === "string" ? { text: cell, tone: "plain" } : { text: cell.text, tone: cell.tone });

function blockOf(block) {
  const kind = block.constructor.$class;
  if (kind === "Table") {
    return {
      kind, caption: block.caption,
      columns: block.columns.map((c) => ({ name: c.name, right: c.right })),
      rows: block.rows.map((row) => $it(row).map(cellOf)),
    };
  }
  if (kind === "Bullets") return { kind, items: $it(block.items) };
  return { kind, text: block.text, tone: block.tone || "plain", level: block.level || 0 };
}

const first = (x) => (x instanceof A ? x.d[0] : x);

const timeText = (ns, digits = 3) => MODEL.time_text(ns, digits).replace("us", "µs");

// Texts are made here and not where they are shown: a worker can make them ahead of a move.
function resultOf(result, total) {
  const [estimate, low, high] = result.interval();
  const phases = result.reason ? [] : result.hold.phases.map((p) => ({ name: p.name, mode: p.mode, ns: first(p.ns) }));
  for (const phase of phases) phase.text = timeText(phase.ns);
  const sum = (mode) => phases.filter((p) => p.mode === mode).reduce((n, p) => n + p.ns, 0);
  return {
    name: result.policy.value, safe: result.safety.safe, why: result.safety.reason, reason: result.reason,
    phases, exclusive: timeText(sum("exclusive")), shared: timeText(sum("shared")),
    gain: { estimate, text: MODEL.gain_text(estimate, low, high) }, sure: MODEL.probability_text(result.p_pays, total), broken: result.reason ? [] : result.answer.broken,
  };
}

// Everything that the view needs of a prediction. The blocks are those that the command line prints.
function viewOf(prediction, draws) {
  const results = prediction.results.map((result) => resultOf(result, draws));
  return {
    draws,
    blocks: MODEL.prediction_blocks(prediction).map(blockOf),
    verdict: plain(prediction.verdict.to_dict()),
    results,
    // Conditions of the closed form's stated error that do not hold here.
    outside: [...new Set(results.flatMap((r) => r.broken))],
    notes: warnings.list.slice(),
  };
}

// The estimate's view alone: what a move of a slider shows at once.
function estimateOf(given) {
  return viewOf(predicted(scenarioOf(given), { levels: [], guards: false }), 1);
}

// ------------------------------------------------------------------------------- ahead of the slider

// Answer what a slider may ask next, so that its move finds the answer there.
async function aheadJob({ scenarios }, post, stale, pause) {
  for (const given of scenarios) {
    await pause();
    if (stale()) return;
    try {
      post({ key: JSON.stringify(given), view: estimateOf(given) });
    } catch (error) {
      // A refusal is told to whoever asks for this scenario.
      if (!(error instanceof InputError)) throw error;
    }
  }
}

// ---------------------------------------------------------------------------------------- the draws

// Put the draws of several predictions one after the other; the first draw of each is the estimate.
function joined(parts, sizes) {
  const whole = parts[0];
  if (whole instanceof A) {
    if (whole.s.length !== 1 || !parts.every((p, i) => p instanceof A && p.s.length === 1 && p.s[0] === sizes[i])) return whole;
    const d = new Float64Array(sizes.reduce((n, size) => n + size - 1, 1));
    let at = 0;
    parts.forEach((p, i) => {
      const own = i ? p.d.subarray(1) : p.d;
      d.set(own, at);
      at += own.length;
    });
    return new A(d, [d.length], whole.b);
  }
  if (Array.isArray(whole)) return whole.map((_, i) => joined(parts.map((p) => p[i]), sizes));
  if (whole instanceof Dict) {
    return new Dict(whole.items().map(([k]) => [k, joined(parts.map((p) => p.get(k)), sizes)]));
  }
  if (whole instanceof Thing && whole.constructor.$fields && !(whole instanceof MODEL.Scenario)) {
    const out = Object.create(Object.getPrototypeOf(whole));
    for (const name of Object.keys(whole)) out[name] = joined(parts.map((p) => p[name]), sizes);
    return out;
  }
  return whole;
}

function whole(scenario, parts, sizes) {
  const results = joined(parts.map((p) => p.results), sizes), guarded = joined(parts.map((p) => p.guarded), sizes);
  const verdict = MODEL.judge(scenario, results, guarded);
  return $kw($b.replace, [parts[0]], [["scenario", scenario], ["results", results], ["guarded", guarded], ["verdict", verdict]]);
}

async function drawsJob({ scenario: given, count, json }, post, stale, pause) {
  const scenario = scenarioOf(given), machine = scenario.machine;
  const parts = [], sizes = [];
  for (let from = 1; from < count; from += CHUNK) {
    await pause();
    if (stale()) return;
    const to = Math.min(from + CHUNK, count), some = changed(scenario, [["machine", machine.part(from, to)]]);
    // The quantiles of the wait are the central draw's: once is enough.
    parts.push(predicted(some, { draws: 1 + to - from, levels: parts.length ? [] : undefined }));
    sizes.push(1 + to - from);
    if ((to - 1) % TOLD < CHUNK) post({ draws: to, done: false });
  }
  await pause();
  if (stale()) return;
  const now = whole(scenario, parts, sizes);
  post({ view: viewOf(now, count), draws: count, done: true, json: json ? plain(now.to_dict()) : null });
}

// ---------------------------------------------------------------------------------------- the sweep

// Net gain of every policy at one value of a parameter; nothing where the model refuses it.
function gainsAt(scenario, path, value) {
  try {
    const there = changed(scenario, [[path, value]]);
    const found = predicted(there, { levels: [], guards: false });
    return new Map(found.results.filter((r) => !r.reason).map((r) => [r.policy.value, {
      gain: first(r.net_gain), safe: r.safety.safe, known: r.answer.broken.length === 0,
    }]));
  } catch (error) {
    if (error instanceof InputError) return new Map();
    throw error;
  }
}

// Where the gain of a policy turns its sign between two values, the estimate's alone.
function rootOf(scenario, path, policy, low, high, { integer, log }) {
  const pair = changed(scenario, [["policies", [MODEL.Policy.NONE, $new(MODEL.Policy, [policy], [])]]]);
  const gain = (x) => gainsAt(pair, path, x).get(policy)?.gain ?? NaN;
  let a = low, b = high;
  const before = Math.sign(gain(a));
  for (let i = 0; i < 40; i++) {
    if (integer ? b - a <= 1 : Math.abs(b - a) <= 1e-4 * Math.abs(b)) break;
    let middle = log && a > 0 ? Math.sqrt(a * b) : 0.5 * (a + b);
    if (integer) middle = Math.min(Math.max(Math.round(middle), a + 1), b - 1);
    const here = gain(middle);
    if (here !== here) return null;
    if (Math.sign(here) === before) a = middle;
    else b = middle;
  }
  // Of whole numbers the one at which the sign has turned.
  return { policy, at: integer ? b : 0.5 * (a + b), rises: before < 0 };
}

async function sweepJob({ scenario: given, control, values }, post, stale, pause) {
  const scenario = scenarioOf(given), lines = {}, roots = [];
  const points = [];
  for (const value of values) {
    points.push(gainsAt(scenario, control.path, value));
    await pause();
    if (stale()) return;
  }
  for (const { value: name } of scenario.policies) {
    if (name === "none" || !points.some((p) => p.has(name))) continue;
    lines[name] = points.map((p) => p.get(name) ?? { gain: NaN, safe: true, known: true });
  }
  post({ control: control.name, values, lines, roots, done: false });
  for (const [name, line] of Object.entries(lines)) {
    for (let i = 1; i < line.length; i++) {
      const a = line[i - 1].gain, b = line[i].gain;
      if (!(Number.isFinite(a) && Number.isFinite(b)) || Math.sign(a) === Math.sign(b)) continue;
      await pause();
      if (stale()) return;
      if (a === 0 || b === 0) continue;
      const root = rootOf(scenario, control.path, name, values[i - 1], values[i], control);
      if (root) roots.push({ ...root, known: line[i - 1].known && line[i].known });
    }
  }
  post({ control: control.name, values, lines, roots, done: true });
}

// ---------------------------------------------------------------------------------------- in a worker

// Jobs by kind, the most urgent first: what a slider may ask next is asked for by a hand on it.
const JOBS = { ahead: aheadJob, draws: drawsJob, sweep: sweepJob }, URGENCY = Object.keys(JOBS);

// Let whatever else is due come in between. A timer would make each pause four milliseconds long.
const breath = (() => {
  const { port1, port2 } = new MessageChannel(), waiting = [];
  port1.onmessage = () => waiting.shift()();
  return () => new Promise((resume) => { waiting.push(resume); port2.postMessage(null); });
})();

// Work on the newest job of each kind; an older one ends as soon as a newer comes. A more urgent one is
// done in the pauses of another. A job to stop ends those that an old question has.
function serve(post) {
  const newest = {}, waiting = new Set();
  let running = false;
  const next = (most) => URGENCY.slice(0, most).find((kind) => waiting.has(kind));
  const work = async (kind) => {
    waiting.delete(kind);
    const now = newest[kind], tell = (answer) => post({ ...answer, type: kind, id: now.id });
    const pause = async () => {
      await breath();
      for (let urgent; (urgent = next(URGENCY.indexOf(kind)));) await work(urgent);
    };
    try {
      await JOBS[kind](now, tell, () => newest[kind] !== now, pause);
    } catch (error) {
      tell({ error: String(error.message || error), done: true });
    }
  };
  return async (job) => {
    if (job.type === "stop") {
      for (const kind of ["draws", "sweep"]) {
        waiting.delete(kind);
        newest[kind] = null;
      }
    } else {
      newest[job.type] = job;
      waiting.add(job.type);
    }
    if (running) return;
    running = true;
    for (let kind; (kind = next(URGENCY.length));) await work(kind);
    running = false;
  };
}

function carry(data) {
  for (const machine of data.machines) MACHINES.set(machine.name, new Machine(machine));
}

if (typeof document === "undefined" && typeof WorkerGlobalScope !== "undefined") {
  const work = serve((answer) => self.postMessage(answer));
  self.onmessage = ({ data }) => {
    if (data.type === "data") carry(data.data);
    else work(data);
  };
}
