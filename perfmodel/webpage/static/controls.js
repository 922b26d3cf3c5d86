// The controls: a row for each number as it is declared, menus, presets; and how they follow the state.
"use strict";

const PANELS = new Map(); // what a control is made of

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
  for (const button of $id("presets").children) put(button, "aria-pressed", button.dataset.preset === name);
  const found = DATA.presets.find((p) => p.name === name);
  say($id("preset-sentence"), found ? `${found.sentence} Source: ${found.source}.` : "Your own case. The buttons above start from a known one.");
}

// Name of the preset that a state is, on its machine; none if it is somebody's own case.
function presetOf(state) {
  const asked = (some) => JSON.stringify(plain(scenarioOf(scenarioGiven(some)).to_dict()));
  try {
    const wanted = asked(state);
    const found = DATA.presets.find((p) => asked(presetState(p, { ...freshState(), machine: state.machine })) === wanted);
    return found ? found.name : null;
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}

function takePreset(preset) {
  STATE = presetState(preset, { ...freshState(), machine: STATE.machine, over: STATE.over });
  START = { ...STATE, values: { ...STATE.values }, left: new Set(STATE.left) };
  syncControls();
  pressPreset(preset.name);
  answer();
}
