// The page at work: controls from the declarations, answers at once, their spread a moment later.
"use strict";

let STATE = freshState();
let START = STATE; // what the reset buttons return to
let VIEW = null, ASKED = 0, ANSWER = null, SWEPT = null;

// ------------------------------------------------------------------------------------- the workers

const TELL = { draws: tellDraws, sweep: tellSweep, ahead: tellAhead };
const tell = (told) => TELL[told.type](told);

// Work that takes longer than a frame; without workers it is done here, a slice at a time.
function backstage() {
  let work = null;
  const sent = new Map();
  try {
    const script = new Blob([$id("model").textContent], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(script));
    worker.onmessage = ({ data }) => tell(data);
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      work = serve(tell);
      sent.forEach((job) => work(job));
    };
    worker.postMessage({ type: "data", data: { machines: DATA.machines } });
    return (job) => {
      if (work) return work(job);
      sent.set(job.type, job);
      worker.postMessage(job);
    };
  } catch {
    return serve(tell);
  }
}

// One processor is left to whoever moves a slider: workers on all of them would keep a move waiting.
const HANDS = Array.from({ length: Math.max(1, Math.min(URGENCY.length, (navigator.hardwareConcurrency || 2) - 1)) }, backstage);
const ask = (job) => HANDS[Math.min(URGENCY.indexOf(job.type), HANDS.length - 1)](job);
const stopAll = () => { for (const hand of HANDS) hand({ type: "stop" }); };
const CHART = new GainChart($id("gain"));
let waiting = 0, later = 0, working = false;

// Estimates by scenario: those shown, and those made ahead for the slider at hand. The oldest go first.
const KNOWN = new Map(), KNOWN_AT_MOST = 400;
let AT_HAND = null, AHEAD = "";

function keep(key, view) {
  KNOWN.delete(key);
  KNOWN.set(key, view);
  if (KNOWN.size > KNOWN_AT_MOST) KNOWN.delete(KNOWN.keys().next().value);
}

function tellAhead(told) {
  if (told.error) console.error(told.error);
  else keep(told.key, told.view);
}

// Have the scenarios answered that the slider at hand may ask for, the nearest first.
function lookAhead() {
  if (!AT_HAND) return;
  const { name, stops } = AT_HAND, left = new Set(STATE.left);
  left.delete(name);
  const asked = (value) => scenarioGiven({ ...STATE, left, values: { ...STATE.values, [name]: value } });
  const around = JSON.stringify([name, asked(null)]);
  if (around === AHEAD) return;
  AHEAD = around;
  const here = nearest(stops, STATE.values[name]);
  const order = stops.map((_, i) => i).sort((i, k) => Math.abs(i - here) - Math.abs(k - here));
  const scenarios = order.map((i) => asked(stops[i])).filter((given) => !KNOWN.has(JSON.stringify(given)));
  if (scenarios.length) ask({ type: "ahead", scenarios });
}

function tellDraws(told) {
  if (told.id !== ASKED) return;
  if (told.error) return problem([told.error]);
  if (!told.done) return say($id("progress"), progress(told.draws));
  VIEW = told.view;
  const left = DATA.draws - told.draws, about = VIEW.outside.length && !unchecked() ? ""
    : `Interval and probability over ${told.draws} draws of the machine's constants${left ? `; the other ${left} follow` : ""}.`;
  if (!left) return finish(told.json, about);
  showInterval(about);
  // Once nobody moves: on two processors they would keep the next move waiting.
  waiting = setTimeout(() => askDraws(DATA.draws), REST);
}

// The draws that the first interval is over, and how long it stands before the others are taken in, ms.
const FIRST = 100, REST = 600;

const askDraws = (count) => ask({ type: "draws", id: ASKED, scenario: scenarioGiven(STATE), count, json: count === DATA.draws });

function showInterval(about) {
  clearTimeout(later);
  showView(VIEW, { pending: false, command: commandLine(), unchecked: unchecked() });
  say($id("progress"), about);
}

// Show the whole answer: interval, probability, and the sentences to quote.
function finish(json, about) {
  ANSWER = json;
  showInterval(about);
  document.body.dataset.done = String(ASKED);
  for (const name of ["quote", "answer"]) document.querySelector(`[data-copy=${name}]`).disabled = false;
}

function tellSweep(told) {
  if (told.id !== ASKED) return;
  if (told.error) return problem([told.error]);
  const control = CONTROLS.get(told.control);
  SWEPT = { ...told, control };
  CHART.show(SWEPT, valueOf(control), unchecked());
  $id("gain").classList.remove("busy");
  say($id("turns"), CHART.turns ? `Break-even: ${CHART.turns}.` : told.done && CHART.known ? "No policy turns its sign in this range." : "");
  document.body.dataset.swept = told.done ? String(told.id) : "";
}

// ---------------------------------------------------------------------------------------- answering

const progress = (draws) => (VIEW.outside.length && !unchecked() ? "" : `Computing the interval: ${draws} of ${DATA.draws} draws …`);

// Whether numbers are wanted whose error nobody knows.
const unchecked = () => $id("anyway").checked;

const scenarioNow = () => scenarioOf(scenarioGiven(STATE));
function commandLine() {
  try { return MODEL.to_command({ _scenario: scenarioNow() }); } catch { return ""; }
}

function valueOf(control) {
  if (!STATE.left.has(control.name)) return STATE.values[control.name];
  const scenario = scenarioNow();
  return control.name === "populated" ? scenario.call.populated : scenario.remote_cpus;
}

function problem(sentences) {
  $id("problem").replaceChildren(...(sentences.length ? [make("div", { class: "problem" }, sentences.map((s) => make("p", { text: s })))] : []));
  $id("answers").classList.toggle("refused", sentences.length > 0);
}

// The browser takes milliseconds for this, so a drag writes its end alone.
function writeAddress() {
  if (location.hash !== addressOf(STATE)) history.replaceState(null, "", addressOf(STATE));
}

// Another solver's answers to the presets that the closed forms leave to it; they were made with the page.
const PREPARED = new Map(DATA.prepared.map((p) => [JSON.stringify(p.prediction.scenario), p]));

function preparedFor(view) {
  const found = view.outside.length && PREPARED.size ? PREPARED.get(JSON.stringify(plain(scenarioNow().to_dict()))) : null;
  return found || null;
}

// A view with the queue's numbers from elsewhere; what is held is the page's own.
const answeredBy = (view, own) => ({ ...view, blocks: own.blocks, verdict: own.prediction.verdict, outside: [],
  results: view.results.map((r) => ({ ...r, ...own.results[r.name] })) });

// Answer the question as it stands: the estimate now, the rest when the workers have it.
function answer({ problems = [] } = {}) {
  const id = ++ASKED, given = scenarioGiven(STATE);
  // A worker at an old question would take the processor from this move.
  if (working) stopAll();
  working = false;
  document.body.dataset.done = document.body.dataset.swept = "";
  const key = JSON.stringify(given);
  try {
    VIEW = KNOWN.get(key) ?? estimateOf(given);
    keep(key, VIEW);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    for (const name of ["verdict", "policies", "timeline"]) $id(name).classList.add("busy");
    clearTimeout(later);
    clearTimeout(waiting);
    problem([...problems, error.message, ...(VIEW ? ["What stands below is the last question that could be answered."] : [])]);
    writeAddress();
    return;
  }
  const own = preparedFor(VIEW);
  if (own) VIEW = answeredBy(VIEW, own);
  problem(problems);
  for (const name of ["verdict", "policies", "timeline"]) $id(name).classList.remove("busy");
  for (const name of ["quote", "answer"]) document.querySelector(`[data-copy=${name}]`).disabled = true;
  const shown = { pending: !own, command: VIEW.outside.length ? commandLine() : "", unchecked: unchecked() };
  showAtOnce(VIEW, shown);
  const mark = () => CHART.mark(valueOf(CONTROLS.get(STATE.over)));
  if (SEEN.has($id("gain"))) mark();
  clearTimeout(later);
  // Later than the next move of a drag: a frame for what is out of sight would keep that one waiting.
  later = setTimeout(() => {
    showRest(VIEW, shown);
    mark();
    if (!own) say($id("progress"), progress(1));
    $id("gain").classList.add("busy");
  }, 100);
  document.body.dataset.rev = String(id);
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    writeAddress();
    lookAhead();
    working = true;
    if (own) {
      finish(own.prediction, `Computed with the page, by another solver: ${own.prediction.warnings[0]}. That is for this case as it`
        + " stands: where a number is changed, ask the command line.");
    } else askDraws(Math.min(FIRST, DATA.draws));
    const control = CONTROLS.get(STATE.over), values = sweepValues(control);
    ask({ type: "sweep", id, scenario: given, control: { name: control.name, path: control.path, integer: control.integer, log: control.log }, values });
  }, 120);
}

// The range of the slider, stretched to where the scenario is.
function sweepValues(control) {
  const here = valueOf(control), a = Math.min(control.stops[0], here), b = Math.max(control.stops[control.stops.length - 1], here);
  const log = control.log && a > 0, count = 49, found = [];
  for (let i = 0; i < count; i++) {
    const t = i / (count - 1), v = log ? a * (b / a) ** t : a + (b - a) * t;
    found.push(control.integer ? Math.round(v) : Number(v.toPrecision(6)));
  }
  return [...new Set([...found, here])].sort((p, q) => p - q);
}

// ------------------------------------------------------------------------------------------ the start

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  say($id("theme"), dark ? "Light" : "Dark");
}

function begin() {
  const words = location.hash.length > 1 ? location.hash : location.search;
  if (words.length > 1) {
    const { state, problems } = stateFromAddress(words);
    STATE = state;
    START = { ...STATE, values: { ...STATE.values }, left: new Set(STATE.left) };
    syncControls();
    pressPreset(problems.length ? null : presetOf(STATE));
    answer({ problems });
  } else takePreset(DATA.presets[0]);
}

theme(matchMedia("(prefers-color-scheme: dark)").matches);
$id("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme !== "dark"));
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button.dataset.copy));
$id("load").addEventListener("click", load);
$id("anyway").addEventListener("change", () => {
  if (VIEW) showView(VIEW, { pending: !document.body.dataset.done, command: commandLine(), unchecked: unchecked() });
  if (SWEPT) CHART.show(SWEPT, valueOf(SWEPT.control), unchecked());
});
say($id("scope"), DATA.scope);
buildControls();
limits();
window.addEventListener("hashchange", begin);
// In a narrow window the answer stands below the presets, not below a screen of sliders.
$id("numbers").open = matchMedia("(min-width: 901px)").matches;
let drawnFor = widthOf($id("timeline"));
window.addEventListener("resize", () => {
  const width = widthOf($id("timeline"));
  if (width === drawnFor) return;
  drawnFor = width;
  TIMELINE.shape = "";
  $id("verdict").style.minHeight = "";
  if (VIEW) TIMELINE.show(VIEW.results);
  if (VIEW) TIMELINE.describe();
  if (SWEPT) CHART.show(SWEPT, valueOf(SWEPT.control), unchecked());
});
begin();
