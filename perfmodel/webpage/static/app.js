// The page at work: controls from the declarations, answers at once, their spread a moment later.
"use strict";

let STATE = freshState();
let START = STATE; // what the reset buttons return to
let VIEW = null, ASKED = 0, ANSWER = null, SWEPT = null;
const PANELS = new Map(); // what a control is made of

// ------------------------------------------------------------------------------------- the workers

// Work that takes longer than a frame; without workers it is done here, a slice at a time.
function backstage(tell) {
  let work = null;
  try {
    const script = new Blob([$id("model").textContent], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(script));
    worker.onmessage = ({ data }) => tell(data);
    worker.onerror = (event) => { event.preventDefault(); worker.terminate(); work = serve(tell); };
    worker.postMessage({ type: "data", data: { machines: DATA.machines } });
    return (job) => (work ? work(job) : worker.postMessage(job));
  } catch {
    return serve(tell);
  }
}

const askDraws = backstage(tellDraws), askSweep = backstage(tellSweep), askAhead = backstage(tellAhead);
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
  if (scenarios.length) askAhead({ type: "ahead", scenarios });
}

function tellDraws(told) {
  if (told.id !== ASKED) return;
  if (told.error) return problem([told.error]);
  VIEW = told.view;
  ANSWER = told.json;
  const total = DATA.draws;
  clearTimeout(later);
  showView(told.view, { pending: !told.done, command: commandLine(), unchecked: unchecked() });
  if (VIEW.outside.length && !unchecked()) say($id("progress"), "");
  else say($id("progress"), told.done ? `Interval and probability over ${total} draws of the machine's constants.`
    : `Computing the interval: ${told.view.draws} of ${total} draws …`);
  document.body.dataset.done = told.done ? String(told.id) : "";
  for (const name of ["quote", "answer"]) document.querySelector(`[data-copy=${name}]`).disabled = !told.done;
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

// Answer the question as it stands: the estimate now, the rest when the workers have it.
function answer({ problems = [] } = {}) {
  const id = ++ASKED, given = scenarioGiven(STATE);
  // A worker at an old question would take the processor from this move.
  if (working) for (const ask of [askDraws, askSweep]) ask({ type: "stop" });
  working = false;
  document.body.dataset.done = document.body.dataset.swept = "";
  const key = JSON.stringify(given);
  try {
    VIEW = KNOWN.get(key) ?? estimateOf(given);
    keep(key, VIEW);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    for (const name of ["verdict", "policies", "timeline"]) $id(name).classList.add("busy");
    problem([...problems, error.message, "What stands below is the last question that could be answered."]);
    writeAddress();
    return;
  }
  problem(problems);
  for (const name of ["verdict", "policies", "timeline"]) $id(name).classList.remove("busy");
  for (const name of ["quote", "answer"]) document.querySelector(`[data-copy=${name}]`).disabled = true;
  const shown = { pending: true, command: VIEW.outside.length ? commandLine() : "", unchecked: unchecked() };
  showAtOnce(VIEW, shown);
  clearTimeout(later);
  later = setTimeout(() => showRest(VIEW, shown), 40);
  say($id("progress"), `Computing the interval: 1 of ${DATA.draws} draws …`);
  CHART.mark(valueOf(CONTROLS.get(STATE.over)));
  $id("gain").classList.add("busy");
  document.body.dataset.rev = String(id);
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    writeAddress();
    lookAhead();
    working = true;
    askDraws({ type: "draws", id, scenario: given, json: true });
    const control = CONTROLS.get(STATE.over), values = sweepValues(control);
    askSweep({ type: "sweep", id, scenario: given, control: { name: control.name, path: control.path, integer: control.integer, log: control.log }, values });
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

// ---------------------------------------------------------------------------------------- controls

function set(change, { rebuild = false } = {}) {
  Object.assign(STATE, change);
  if (rebuild) syncControls();
  pressPreset(null);
  answer();
}

function setValue(name, value) {
  STATE.values[name] = value;
  if (STATE.left.delete(name)) syncControls();
  pressPreset(null);
  answer();
}

const nearest = (stops, value) => stops.reduce((best, s, i) => (Math.abs(s - value) < Math.abs(stops[best] - value) ? i : best), 0);
const short = (value) => (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6))));

function numberRow(control) {
  const range = make("input", { type: "range", id: `range-${control.name}`, min: 0, max: control.stops.length - 1, step: 1 });
  const field = make("input", { type: "number", id: `field-${control.name}`, step: "any", "aria-label": `${control.label}, as a number` });
  const reset = make("button", { type: "button", text: "↺", "aria-label": `Reset ${control.label}` });
  const tip = `${control.meaning}. Allowed: ${control.expected}. Source: ${control.source}.`;
  const word = make("label", { for: range.id, text: control.label, title: tip });
  range.title = field.title = tip;
  range.addEventListener("input", () => {
    const value = control.stops[Number(range.value)];
    field.value = short(value);
    range.setAttribute("aria-valuetext", short(value));
    setValue(control.name, value);
  });
  for (const sign of ["pointerenter", "focus"]) {
    range.addEventListener(sign, () => {
      AT_HAND = control;
      lookAhead();
    });
  }
  field.addEventListener("input", () => {
    const value = field.value.trim() === "" ? NaN : Number(field.value);
    if (Number.isFinite(value)) {
      range.value = nearest(control.stops, value);
      setValue(control.name, value);
    } else problem([`${control.label}: a number is missing. Expected ${control.expected}.`]);
  });
  reset.addEventListener("click", () => {
    if (START.left.has(control.name)) STATE.left.add(control.name);
    else STATE.left.delete(control.name);
    set({ values: { ...STATE.values, [control.name]: START.values[control.name] } }, { rebuild: true });
  });
  const row = make("div", { class: "row" }, [word, range, field, reset]);
  for (const node of [range, field]) node.addEventListener("focus", () => say($id("help"), `${control.label}: ${tip}`));
  PANELS.set(control.name, { row, range, field });
  if (!LEFT_TO_MODEL.includes(control.name)) return [row];
  const box = make("input", { type: "checkbox", id: `left-${control.name}` });
  box.addEventListener("change", () => {
    if (!box.checked) STATE.values[control.name] = valueOf(control);
    STATE.left[box.checked ? "add" : "delete"](control.name);
    set({}, { rebuild: true });
  });
  PANELS.get(control.name).left = box;
  return [make("div", { class: "check" }, [box, make("label", { for: box.id, text: `${control.label} follow${control.name === "populated" ? "s from the transition" : " from threads and CPUs"}` })]), row];
}

function menu(name, label, options, title) {
  const select = make("select", { id: `menu-${name}`, title }, options.map(([value, text]) => make("option", { value, text })));
  select.addEventListener("change", () => set({ [name]: select.value }, { rebuild: true }));
  PANELS.set(name, { select });
  return make("div", { class: "row" }, [make("label", { for: select.id, text: label }), select]);
}

function flagRow(name, label) {
  const box = make("input", { type: "checkbox", id: `flag-${name}` });
  box.addEventListener("change", () => set({ [name]: box.checked }, { rebuild: true }));
  PANELS.set(name, { box });
  return make("div", { class: "check" }, [box, make("label", { for: box.id, text: label })]);
}

function switchRow(part) {
  const name = `${part}_open`;
  return menu(name, part === "faults" ? "faults come" : "calls come", [
    ["", "from threads (closed)"], ["1", "as a stream (open)"],
  ], "A closed population of threads that think between two faults or calls, or an open stream of a given rate");
}

function policyBox() {
  const inside = DATA.policies.map((p) => {
    const box = make("input", { type: "checkbox", id: `policy-${p.name}`, disabled: p.name === "none" });
    box.addEventListener("change", () => {
      const chosen = DATA.policies.map((q) => q.name).filter((q) => q === "none" || $id(`policy-${q}`).checked);
      set({ policies: chosen });
    });
    return make("div", { class: "check" }, [box, make("label", { for: box.id }, [make("b", { text: p.name }), `: ${p.meaning}`])]);
  });
  return make("details", {}, [make("summary", { text: "Policies compared" }), ...inside]);
}

function buildControls() {
  const form = $id("controls");
  form.addEventListener("submit", (event) => event.preventDefault());
  const groups = Object.fromEntries(DATA.groups.map((g) => [g.title, g]));
  const fieldset = (title, children) => make("fieldset", {}, [make("legend", { text: title }), ...children]);
  const rows = (title, skip = []) => groups[title].controls.filter((c) => !skip.includes(c.name)).flatMap(numberRow);
  form.append(
    fieldset("Machine and kernel", [
      menu("machine", "machine", DATA.machines.map((m) => [m.name, `${m.name} (${m.evidence})`]), "Calibrated costs"),
      menu("kernel", "kernel", DATA.kernels.map((k) => [k.release, k.release]), "Whose rules hold"),
      make("p", { class: "small", id: "kernel-change" }),
      flagRow("hung_task_blocker", "CONFIG_DETECT_HUNG_TASK_BLOCKER (6.18)"),
      ...rows("The machine"),
    ]),
    fieldset("The call", [
      menu("operation", "operation", DATA.operations.map((o) => [o, o]), "Which call"),
      menu("transition", "transition", DATA.transitions.map((t) => [t, t]), "Old and new protection; only mprotect has one"),
      ...rows("The call"), flagRow("huge", "mapped by 2 MiB entries"),
    ]),
    fieldset("The faults", [switchRow("faults"), ...rows("The faults")]),
    fieldset("The callers", [switchRow("writers"), ...rows("The callers")]),
    policyBox(),
  );
  $id("presets").append(...DATA.presets.map((p) => {
    const button = make("button", { type: "button", text: p.name, title: p.sentence, "aria-pressed": "false", "data-preset": p.name });
    button.addEventListener("click", () => takePreset(p));
    return button;
  }));
  const over = $id("over");
  over.addEventListener("change", () => { STATE.over = over.value; answer(); });
}

// Bring every control to the state.
function syncControls() {
  for (const control of CONTROLS.values()) {
    const { row, range, field, left } = PANELS.get(control.name), on = active(STATE, control.name);
    row.classList.toggle("off", !on || STATE.left.has(control.name));
    const value = STATE.values[control.name];
    range.value = nearest(control.stops, value);
    range.setAttribute("aria-valuetext", short(value));
    if (document.activeElement !== field) field.value = short(value);
    if (left) left.checked = STATE.left.has(control.name);
  }
  for (const name of ["machine", "kernel", "operation", "transition"]) {
    const { select } = PANELS.get(name);
    if (![...select.options].some((o) => o.value === STATE[name])) select.append(make("option", { value: STATE[name], text: STATE[name] }));
    select.value = STATE[name];
  }
  const release = DATA.kernels.find((k) => k.release === STATE.kernel);
  say($id("kernel-change"), release && release.change ? `Rules that change in ${STATE.kernel}: ${release.change}.` : "");
  PANELS.get("hung_task_blocker").box.disabled = !/^6\.(1[89]|[2-9]\d)|^[7-9]/.test(STATE.kernel);
  PANELS.get("transition").select.disabled = STATE.operation !== "mprotect";
  for (const name of ["huge", "hung_task_blocker"]) PANELS.get(name).box.checked = STATE[name];
  for (const part of ["faults", "writers"]) {
    STATE[`${part}_open`] = Boolean(STATE[`${part}_open`]);
    PANELS.get(`${part}_open`).select.value = STATE[`${part}_open`] ? "1" : "";
  }
  for (const p of DATA.policies) $id(`policy-${p.name}`).checked = STATE.policies.includes(p.name);
  const swept = [...CONTROLS.values()].filter((c) => c.swept && active(STATE, c.name));
  if (!swept.some((c) => c.name === STATE.over)) STATE.over = "pages";
  const over = $id("over"), names = swept.map((c) => c.name).join();
  if (over.dataset.names !== names) {
    over.dataset.names = names;
    over.replaceChildren(...swept.map((c) => make("option", { value: c.name, text: c.label })));
  }
  over.value = STATE.over;
  const machine = DATA.machines.find((m) => m.name === STATE.machine);
  say($id("machine-line"), `Costs: machine ${machine.name}, ${machine.evidence}; sha256 ${machine.sha256.slice(0, 12)}.`);
}

function pressPreset(name) {
  for (const button of $id("presets").children) button.setAttribute("aria-pressed", String(button.dataset.preset === name));
  const found = DATA.presets.find((p) => p.name === name);
  say($id("preset-sentence"), found ? `${found.sentence} Source: ${found.source}.` : "Your own case. The buttons above start from a known one.");
}

function takePreset(preset) {
  STATE = presetState(preset, { ...freshState(), machine: STATE.machine, over: STATE.over });
  START = { ...STATE, values: { ...STATE.values }, left: new Set(STATE.left) };
  syncControls();
  pressPreset(preset.name);
  answer();
}

// ------------------------------------------------------------------------------------ to elsewhere

function copyText(kind) {
  writeAddress();
  const scenario = scenarioNow(), link = location.href, command = MODEL.to_command({ _scenario: scenario });
  if (kind === "link") return link;
  if (kind === "command") return command;
  if (kind === "python") return MODEL.to_python({ _scenario: scenario });
  if (kind === "scenario") return JSON.stringify(plain(scenario.to_dict()), null, 2);
  if (kind === "answer") return JSON.stringify(ANSWER, null, 2);
  return quoteOf(VIEW, link, command);
}

async function copy(kind) {
  const text = copyText(kind), box = $id("exchange");
  box.hidden = false;
  box.value = text;
  try {
    await navigator.clipboard.writeText(text);
    say($id("copied"), "Copied.");
  } catch {
    box.focus();
    box.select();
    say($id("copied"), "The browser does not let a page copy here: the text is selected below.");
  }
}

function load() {
  const box = $id("exchange");
  if (box.hidden || !box.value.trim()) {
    box.hidden = false;
    box.value = "";
    box.focus();
    say($id("copied"), "Paste a scenario as JSON below, then press the button again.");
    return;
  }
  try {
    const read = JSON.parse(box.value), given = read.scenario && read.policies && read.verdict ? read.scenario : read;
    STATE = stateOf(plain(scenarioOf(given).to_dict()), STATE);
    syncControls();
    pressPreset(null);
    say($id("copied"), "Loaded.");
    answer();
  } catch (error) {
    problem([error instanceof SyntaxError ? `This is not JSON (${error.message}).` : error.message]);
  }
}

function limits() {
  const code = (text) => make("code", { text });
  const items = [
    ["The answers are those of ", code("perfmodel predict --solver closed"), ": the model's closed forms, translated from the same source, for every call, policy, kernel and population that they know."],
    ["Not in it are the Markov chain and the simulation. Where the closed form's error is not known the page says NOT IN THIS PAGE, shows no number of the queue, and names the command that asks them: ", code("perfmodel predict …"), ". Often that is so for several callers that meet each other, for faults that wait for I/O, and for calls over several VMAs that drop the lock for each."],
    ["Break-even points here are those of the estimate; with an interval: ", code("perfmodel break-even --over pages"), "."],
    ["Which constant matters, and what to measure next: ", code("perfmodel sensitivity"), "."],
    ["Who breaks an unsafe cut, step by step: ", code("perfmodel safety --explain"), "; how often it would lose a store: ", code("perfmodel lost-stores"), "."],
    ["Your own machine: ", code("perfmodel measure"), ", ", code("perfmodel calibrate"), ", then ", code("perfmodel explore --html FILE --machine PROFILE"), "."],
  ];
  $id("limits").replaceChildren(make("ul", {}, items.map((parts) => make("li", {}, parts))));
}

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  say($id("theme"), dark ? "Light" : "Dark");
}

function begin() {
  if (location.hash.length > 1) {
    const { state, problems } = stateFromAddress(location.hash);
    STATE = state;
    START = { ...STATE, values: { ...STATE.values }, left: new Set(STATE.left) };
    syncControls();
    pressPreset(null);
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
