// What the controls say: a plain object, and how it becomes a scenario, an address, and back.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
carry(DATA);

const CONTROLS = new Map(DATA.groups.flatMap((g) => g.controls).map((c) => [c.name, c]));

// Controls that a kind of population has.
const OF_CLOSED = { faults: ["fault_threads", "fault_think_us"], writers: ["writer_threads", "writer_think_us"] };
const OF_OPEN = { faults: ["fault_rate"], writers: ["writer_rate"] };
// Controls that can be left to the model.
const LEFT_TO_MODEL = ["populated", "remote_cpus"];
const CHOICES = ["machine", "kernel", "operation", "transition"];

function freshState() {
  return {
    machine: DATA.machines[0].name, kernel: "5.11", hung_task_blocker: true,
    operation: "mprotect", transition: "RW->R", huge: false,
    faults_open: false, writers_open: false,
    left: new Set(LEFT_TO_MODEL), values: { ...DATA.start },
    policies: DATA.policies.filter((p) => p.standard).map((p) => p.name),
    over: "pages",
  };
}

// Whether a control has a say in the present kind of population.
function active(state, name) {
  for (const part of ["faults", "writers"]) {
    const open = state[`${part}_open`];
    if (OF_CLOSED[part].includes(name)) return !open;
    if (OF_OPEN[part].includes(name)) return open;
  }
  return true;
}

function scenarioGiven(state) {
  const given = {
    machine: state.machine, kernel: state.kernel, hung_task_blocker: state.hung_task_blocker,
    call: { operation: state.operation, transition: state.transition, huge: state.huge },
    faults: {}, writers: {}, policies: state.policies.slice(),
  };
  for (const control of CONTROLS.values()) {
    if (!active(state, control.name) || state.left.has(control.name)) continue;
    const [part, field] = control.path.includes(".") ? control.path.split(".") : [null, control.path];
    (part ? given[part] : given)[field] = state.values[control.name];
  }
  return given;
}

// The state that a scenario comes from, as Scenario.to_dict gives it; what it does not say is kept.
function stateOf(scenario, before) {
  const state = { ...before, values: { ...before.values }, left: new Set() };
  state.machine = scenario.machine;
  state.kernel = scenario.kernel;
  state.hung_task_blocker = scenario.hung_task_blocker;
  state.operation = scenario.call.operation;
  state.transition = scenario.call.transition;
  state.huge = scenario.call.huge;
  state.policies = scenario.policies.slice();
  state.faults_open = scenario.faults.rate !== null;
  state.writers_open = scenario.writers.rate !== null;
  for (const control of CONTROLS.values()) {
    const [part, field] = control.path.includes(".") ? control.path.split(".") : [null, control.path];
    const value = (part ? scenario[part] : scenario)[field];
    if (value !== null && value !== undefined) state.values[control.name] = value;
    else if (LEFT_TO_MODEL.includes(control.name)) state.left.add(control.name);
  }
  return state;
}

// A preset leaves to the model what it does not name.
function presetState(preset, before) {
  const given = { machine: before.machine, ...preset.parameters };
  const state = stateOf(plain(scenarioOf(given).to_dict()), before);
  if (!("populated" in (preset.parameters.call || {}))) state.left.add("populated");
  return state;
}

// ------------------------------------------------------------------------------------- the address

function addressOf(state) {
  const words = new URLSearchParams();
  for (const name of CHOICES) words.set(name, state[name]);
  if (!state.hung_task_blocker) words.set("hung_task_blocker", "0");
  if (state.huge) words.set("huge", "1");
  for (const control of CONTROLS.values()) {
    if (active(state, control.name) && !state.left.has(control.name)) words.set(control.name, String(state.values[control.name]));
  }
  const usual = DATA.policies.filter((p) => p.standard).map((p) => p.name).join(",");
  if (state.policies.join(",") !== usual) words.set("policy", state.policies.join(","));
  if (state.over !== "pages") words.set("over", state.over);
  return `#${words.toString().replaceAll("%3E", ">").replaceAll("%2C", ",")}`;
}

// Words of the served explorer's links that say nothing of the scenario: its views and pins are not here.
const OF_THE_EXPLORER = ["view", "across", "cut", "pin"];

// The state that an address tells; problems are sentences about words that were left out.
function stateFromAddress(address) {
  const state = freshState(), problems = [];
  const words = new URLSearchParams(address.replace(/^[^?#]*[?#]/, ""));
  const known = (name, value, list) => {
    if (list.includes(value)) state[name] = value;
    else problems.push(`${name}: there is no ${JSON.stringify(value)} in this page. Expected one of ${list.join(", ")}.`);
  };
  for (const part of ["faults", "writers"]) state[`${part}_open`] = OF_OPEN[part].some((n) => words.has(n));
  for (const [name, text] of words) {
    if (name === "machine") known(name, text, DATA.machines.map((m) => m.name));
    else if (name === "operation") known(name, text, DATA.operations);
    else if (name === "transition") known(name, text, DATA.transitions);
    else if (name === "kernel") state.kernel = text;
    else if (name === "hung_task_blocker") state.hung_task_blocker = text !== "0";
    else if (name === "huge") state.huge = text === "1";
    else if (name === "over") known(name, text, [...CONTROLS.values()].filter((c) => c.swept).map((c) => c.name));
    else if (name === "policy") {
      const list = DATA.policies.map((p) => p.name);
      const [right, wrong] = [[], []];
      for (const p of text.split(",")) (list.includes(p) ? right : wrong).push(p);
      state.policies = ["none", ...right.filter((p) => p !== "none")];
      if (wrong.length) problems.push(`policy: there is no ${wrong.join(", ")}. Expected some of ${list.join(", ")}.`);
    } else if (CONTROLS.has(name)) {
      const value = text.trim() === "" ? NaN : Number(text);
      if (Number.isFinite(value)) {
        state.values[name] = value;
        state.left.delete(name);
      } else {
        problems.push(`${name}: ${JSON.stringify(text)} is not a number. Expected ${CONTROLS.get(name).expected}.`);
      }
    } else if (!OF_THE_EXPLORER.includes(name)) {
      problems.push(`the address holds ${JSON.stringify(name)}, which is no parameter of a scenario.`);
    }
  }
  return { state, problems };
}
