// What the model takes from outside itself, by hand: errors, the machines, the check of arguments.
// perfmodel/webpage/translate/replaced.py says why each is not translated.
"use strict";

class InputError extends Error {
  constructor(what, file = null, line = null, field = null, expected = null) {
    const where = file ? `${file}${line === null ? "" : `:${line}`}: ` : "";
    super(`${where}${field ? `${field}: ` : ""}${what}${expected ? `. Expected ${expected}` : ""}.`);
    Object.assign(this, { name: "InputError", what, file, line, field, expected });
  }
  at(file = null, line = null, field = null) {
    return new InputError(this.what, this.file ?? file, this.line ?? line, this.field ?? field, this.expected);
  }
}
InputError.$class = "InputError";
InputError.$about = { p: ["what", "file", "line", "field", "expected"], rest: null };
InputError.$methods = InputError.prototype.$methods = { at: { p: ["file", "line", "field"], rest: null } };

class MissingExtraError extends InputError {}
class ModelWarning extends Error {}

// A calibrated machine with the draws of its constants: `DATA.machines`, the first draw the estimate.
class Machine extends Thing {
  constructor(given, rows = null) {
    super(NOTHING);
    this.given = given;
    // Columns of draws: doubles in base64, decoded once.
    this.columns = (given.columns ||= new Map(Object.entries(given.draws).map(([name, column]) => [name,
      typeof column === "string" ? new Float64Array(Uint8Array.from(atob(column), (c) => c.charCodeAt(0)).buffer)
        : column === null ? NaN : column])));
    this.rows = rows; // which draws it has; null for all
    this.constants = new Dict(Object.entries(given.constants));
  }
  get name() { return this.given.name; }
  get evidence() { return this.given.evidence; }
  get sha256() { return this.given.sha256; }
  get description() { return this.given.description; }
  value(name) {
    const found = this.given.constants[name];
    return found === undefined || found.value === null ? NaN : found.value;
  }
  reason(name) {
    const found = this.given.constants[name];
    if (found === undefined) return `profile '${this.name}' does not hold ${name}`;
    return found.value === null ? found.reason : "";
  }
  // The same machine with the estimate and a part of the draws.
  part(from, to) {
    return new Machine(this.given, [0, ...Array.from({ length: to - from }, (_, i) => from + i)]);
  }
  get drawn() { return this.rows ? this.rows.length : this.given.count; }
  draws(count) {
    if (count > this.drawn) throw new InputError(`${count} draws`, null, null, "draws", `at most ${this.drawn}`);
    return new Dict([...this.columns].map(([name, column]) => {
      const of = (i) => (typeof column === "number" ? column : column[this.rows ? this.rows[i] : i]);
      return [name, new A(Float64Array.from({ length: count }, (_, i) => of(i)), [count])];
    }));
  }
  static load(name) {
    if (!MACHINES.has(name)) {
      throw new InputError(`there is no profile '${name}'`, null, null, "machine",
        `one of ${[...MACHINES.keys()].join(", ")}, which this page carries`);
    }
    return MACHINES.get(name);
  }
}
Machine.$class = "Machine";
Machine.prototype.$methods = { draws: { p: ["count", "seed"], rest: null } };

const MACHINES = new Map();

function parseRelease(release) {
  const found = /^v?(\d+)\.(\d+)(?:\D.*|\.\d.*)?$/.exec(release.trim());
  if (!found) throw new InputError(`${$repr(release)} is not a kernel release`, null, null, "kernel", "for instance 5.11 or 6.18");
  return [Number(found[1]), Number(found[2])];
}

// ------------------------------------------------------------------------------------- the equations

const E = {};

// Refuse arguments outside their declared domain; NaN is allowed and means "not known".
function within(name, x) {
  const declared = DOMAINS[name];
  if (declared === undefined) throw new InputError(`there is no quantity '${name}'`);
  const [low, high, expected] = declared;
  const refuse = (v) => { throw new InputError(`${$fmt(v, "g", false)} is out of range`, null, null, name, expected); };
  if (x instanceof A) {
    for (let i = 0; i < x.d.length; i++) if (x.d[i] < low || x.d[i] > high) refuse(x.d[i]);
    return x;
  }
  const v = numeric(x);
  if (v < low || v > high) refuse(v);
  return v;
}

function equation(name, names, values) {
  const call = (...given) => {
    if (given.length !== names.length) throw new InputError(`${name} needs ${names.join(", ")}`);
    for (let i = 0; i < given.length; i++) {
      if (given[i] === undefined) throw new InputError(`${name} needs ${names[i]}`, null, null, names[i]);
      given[i] = within(names[i], given[i]);
    }
    return values(...given);
  };
  $fn(call, names);
  call.names = names;
  return call;
}

// Whole arrays: together() of perfmodel.equations.equation, and floats(), which leaves the shapes.
const floats = $fn((values) => new Dict(values.items().map(([k, v]) => [k, within(k, np.asarray(v))])), [], "values");
const together = $fn((values) => {
  const pairs = values.items(), arrays = pairs.map(([k, v]) => within(k, np.asarray(v)));
  let shape;
  try {
    shape = broadcastShapes(arrays.map(shapeOf));
  } catch {
    throw new InputError(`the shapes do not broadcast: ${pairs.map(([k], i) => `${k} (${shapeOf(arrays[i])})`).join(", ")}`);
  }
  return new Dict(pairs.map(([k], i) => [k, np.broadcast_to(arrays[i], shape)]));
}, [], "values");
