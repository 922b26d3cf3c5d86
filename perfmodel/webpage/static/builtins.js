// Text as Python writes it, and Python's built-in functions, as far as the model uses them.
"use strict";

// -------------------------------------------------------------------------------------------- text

function $repr(x) {
  if (typeof x === "string") return x.includes("'") && !x.includes('"') ? `"${x}"` : `'${x.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;
  if (Array.isArray(x)) return `[${x.map($repr).join(", ")}]`;
  if (x instanceof Dict) return `{${x.items().map(([k, v]) => `${$repr(k)}: ${$repr(v)}`).join(", ")}}`;
  return $str(x);
}

function $str(x) {
  if (x === null || x === undefined) return "None";
  if (typeof x === "boolean") return x ? "True" : "False";
  if (typeof x === "number") return floatText(x);
  if (typeof x === "string") return x;
  if (x instanceof Error) return x.message;
  return $repr(x);
}

// Whole numbers are written as Python's int: JavaScript does not tell 5 from 5.0.
function floatText(x) {
  if (x !== x) return "nan";
  if (x === Infinity || x === -Infinity) return x > 0 ? "inf" : "-inf";
  if (Number.isInteger(x) && Math.abs(x) < 1e16) return String(x);
  const [digits, exponent] = x.toExponential().split("e"), size = Number(exponent);
  if (size >= -4 && size < 16) return x.toFixed(Math.max(0, digits.replace(/[-.]/g, "").length - 1 - size));
  return `${digits}e${size < 0 ? "-" : "+"}${String(Math.abs(size)).padStart(2, "0")}`;
}

const exponentText = (text) => text.replace(/e([+-])(\d)$/, "e$10$2");

// JavaScript rounds a tie of toFixed and toExponential away from 0, Python the exact double to even.
function roundedText(x, how, digits) {
  const text = how === "f" ? x.toFixed(digits) : x.toExponential(digits);
  if (digits >= 17) return text;
  // Only an exactly represented tie differs: more digits show it.
  const long = how === "f" ? (digits + 25 <= 100 ? x.toFixed(digits + 25) : text) : x.toExponential(Math.min(100, digits + 25));
  const at = how === "f" ? long.length : long.indexOf("e");
  const tail = long.slice(text.indexOf("e") < 0 ? text.length + (digits === 0 ? 1 : 0) : text.indexOf("e") + (digits === 0 ? 1 : 0), at);
  if (!/^50*$/.test(tail)) return text;
  const before = long.slice(0, at - tail.length).replace(/\.$/, ""), last = Number(before[before.length - 1]);
  return last % 2 === 0 ? before + (how === "f" ? "" : long.slice(at)) : text;
}

function general(x, precision, keep) {
  const p = precision === 0 ? 1 : precision;
  if (x === 0) return Object.is(x, -0) ? "-0" : "0";
  const scientific = roundedText(x, "e", p - 1), size = Number(scientific.split("e")[1]);
  const trim = (t) => (keep || !t.includes(".") ? t : t.replace(/0+$/, "").replace(/\.$/, ""));
  if (size < -4 || size >= p) {
    const [digits, exponent] = scientific.split("e");
    return exponentText(`${trim(digits)}e${exponent}`);
  }
  return trim(roundedText(x, "f", Math.max(0, p - 1 - size)));
}

// Python's format(value, form), as far as the model writes it.
function $fmt(x, form, quoted) {
  if (quoted) x = $repr(x);
  if (form === "") return $str(x);
  const match = /^([<>^])?([+ ])?(0)?(\d+)?(,)?(?:\.(\d+))?([a-zA-Z%])?$/.exec(form);
  if (!match) throw new Error(`format ${form}`);
  const [, align, sign, zero, width, comma, precision, kind] = match;
  let text;
  if (typeof x === "string") {
    text = precision === undefined ? x : x.slice(0, Number(precision));
  } else {
    const v = numeric(x instanceof A ? x.row(0) : x), size = Math.abs(v);
    const digits = precision === undefined ? 6 : Number(precision);
    if (v !== v) text = "nan";
    else if (size === Infinity) text = "inf";
    else if (kind === "f") text = roundedText(size, "f", digits);
    else if (kind === "e") text = exponentText(roundedText(size, "e", digits));
    else if (kind === "%") text = `${roundedText(100 * size, "f", digits)}%`;
    else if (kind === "d") text = String(size);
    else if (kind === "g" || precision !== undefined) text = general(size, digits, false);
    else text = $str(size);
    if (comma) text = text.replace(/^\d+/, (n) => n.replace(/\B(?=(\d{3})+$)/g, ","));
    const negative = v < 0 || Object.is(v, -0);
    text = (negative ? "-" : sign || "") + text;
  }
  if (width && text.length < Number(width)) {
    const fill = (zero ? "0" : " ").repeat(Number(width) - text.length);
    text = align === "<" || (!align && typeof x === "string") ? text + fill : fill + text;
  }
  return text;
}

// --------------------------------------------------------------------------------- built-in functions

class PyError extends Error {}
const errorKind = (name) => {
  const make = (message = "") => Object.assign(new PyError(message), { name });
  make.$error = name;
  return make;
};
const $caught = (error, kinds) => kinds.some((k) => (typeof k === "function" && k.$error ? error.name === k.$error
  : typeof k === "string" ? error.name === k : error instanceof k));

class Iter {
  constructor(list) { this.list = list; this.at = 0; }
  [Symbol.iterator]() { const rest = this.list.slice(this.at); this.at = this.list.length; return rest[Symbol.iterator](); }
}

const best = (better) => function (...given) {
  const options = given.length && typeof given[given.length - 1] === "object" && given[given.length - 1] instanceof Keywords
    ? given.pop().given : {};
  const list = given.length === 1 ? $it(given[0]) : given, key = options.key || ((v) => v);
  if (!list.length) {
    if ("default" in options) return options.default;
    throw $b.ValueError("nothing to choose from");
  }
  let found = list[0], value = key(found);
  for (const each of list.slice(1)) {
    const v = key(each);
    if ($t(better(v, value))) { found = each; value = v; }
  }
  return found;
};

const $b = {
  ValueError: errorKind("ValueError"), KeyError: errorKind("KeyError"), TypeError: errorKind("TypeError"),
  IndexError: errorKind("IndexError"), ZeroDivisionError: errorKind("ZeroDivisionError"),
  StopIteration: errorKind("StopIteration"), OverflowError: errorKind("OverflowError"),
  NotImplementedError: errorKind("NotImplementedError"),
  abs: (x) => np.abs(x), len: (x) => (x instanceof A ? x.s[0] : x instanceof Dict || x instanceof PySet ? x.map.size : $it(x).length),
  all: (x) => $it(x).every($t), any: (x) => $it(x).some($t),
  bool: (x) => $t(x), str: (x) => $str(x), repr: (x) => $repr(x), id: (x) => x, type: (x) => x.constructor,
  float(x) {
    if (typeof x === "string") {
      const v = x.trim() === "" ? NaN : Number(x);
      if (v !== v && x.trim().toLowerCase() !== "nan") throw $b.ValueError(`could not convert string to float: ${$repr(x)}`);
      return v;
    }
    if (x instanceof A) { if (x.d.length !== 1) throw $b.TypeError("only arrays of one element"); return x.d[0]; }
    return numeric(x);
  },
  int: (x) => Math.trunc($b.float(x)),
  round: (x, n = 0) => Number(roundedText(x, "f", n === null ? 0 : n)),
  sum: (x, start = 0) => $it(x).reduce((a, b) => $add(a, b), start),
  min: best($lt), max: best($gt),
  list: (x = []) => $it(x).slice(), tuple: (x = []) => $it(x).slice(),
  set: (x = []) => new PySet($it(x)), frozenset: (x = []) => new PySet($it(x)),
  dict: (x = []) => new Dict(x instanceof Dict ? x.items() : $it(x)),
  MappingProxyType: (x) => x,
  enumerate: (x, start = 0) => $it(x).map((v, i) => [i + start, v]),
  zip: (...xs) => {
    if (xs.length && xs[xs.length - 1] instanceof Keywords) xs.pop();
    const lists = xs.map($it), n = Math.min(...lists.map((l) => l.length));
    return Array.from({ length: n }, (_, i) => lists.map((l) => l[i]));
  },
  range(a, b, by = 1) {
    const [from, to] = b === undefined ? [0, a] : [a, b];
    return Array.from({ length: Math.max(0, Math.ceil((to - from) / by)) }, (_, i) => from + i * by);
  },
  map: (f, x) => $it(x).map((v) => f(v)), reversed: (x) => $it(x).slice().reverse(),
  sorted: $fn((x, key, reverse) => {
    const of = key || ((v) => v), list = $it(x).map((v) => [of(v), v]);
    list.sort((a, b) => (reverse ? -1 : 1) * $order(a[0], b[0]));
    return list.map((p) => p[1]);
  }, ["iterable", "key", "reverse"]),
  iter: (x) => new Iter($it(x)),
  next(x, fallback) {
    const found = x instanceof Iter ? (x.at < x.list.length ? [x.list[x.at++]] : []) : x.slice(0, 1);
    if (found.length) return found[0];
    if (fallback === undefined) throw $b.StopIteration();
    return fallback;
  },
  getattr(x, name, fallback) {
    const found = $attr(x, name);
    if (found === undefined && x.$fields) {
      // A class has its fields' defaults.
      const field = x.$fields.find(([n]) => n === name);
      if (field && field[1]) return field[1]();
    }
    if (found === undefined) { if (fallback === undefined) throw $b.TypeError(`no attribute ${name}`); return fallback; }
    return found;
  },
  hasattr: (x, name) => $attr(x, name) !== undefined,
  object: { __setattr__(owner, name, value) { owner[name] = value; return null; } },
  slice: (to) => new Slice(null, to, null),
  fields: (x) => (x.$fields || x.constructor.$fields).map(([name, made]) => ({ name, get default() { return made ? made() : null; } })),
  asdict: (x) => new Dict(x.constructor.$fields.map(([n]) => [n, x[n] instanceof Thing && x[n].constructor.$fields ? $b.asdict(x[n]) : x[n]])),
  replace: (x) => x,
};
$b.min.$p = $b.max.$p = []; $b.min.$rest = $b.max.$rest = "*";
$fn($b.zip, [], "*");
$fn($b.enumerate, ["iterable", "start"]);
$b.replace.$keywords = (given, pairs) => {
  const [x] = given, kind = x.constructor, changes = Object.fromEntries(pairs), names = kind.$fields.map(([n]) => n);
  for (const name of Object.keys(changes)) if (!names.includes(name)) throw $b.TypeError(`no field ${name}`);
  return new kind(...names.map((n) => (n in changes ? changes[n] : x[n])));
};
$b.dict.$keywords = (given, pairs) => new Dict([...(given.length ? $b.dict(given[0]).items() : []), ...pairs]);
$b.dict.fromkeys = (keys, value = null) => new Dict($it(keys).map((k) => [k, value]));

const math = {
  nan: NaN, inf: Infinity, pi: Math.PI, e: Math.E, isfinite: (x) => Number.isFinite($b.float(x)),
  isnan: (x) => Number.isNaN($b.float(x)), isinf: (x) => Math.abs($b.float(x)) === Infinity,
  sqrt: Math.sqrt, log: Math.log, log10: Math.log10, log1p: Math.log1p, log2: Math.log2, exp: Math.exp,
  expm1: Math.expm1, ceil: Math.ceil, floor: Math.floor, fabs: Math.abs,
};

const warnings = { list: [], warn(text) { warnings.list.push($str(text)); return null; } };
const shlex = { join: (words) => $it(words).map((w) => (w !== "" && /^[\w@%+=:,./-]+$/.test(w) ? w : `'${w.replace(/'/g, `'"'"'`)}'`)).join(" ") };
const json = { dumps: (x) => JSON.stringify(plain(x), null, 2) };

// Values of the model as JSON has them.
function plain(x) {
  if (x === undefined) return null;
  if (x instanceof Dict) return Object.fromEntries(x.items().map(([k, v]) => [$str(k), plain(v)]));
  if (x instanceof A) return plain($it(x));
  if (Array.isArray(x)) return x.map(plain);
  return x;
}

// And back: objects become dicts.
function dictOf(x) {
  if (Array.isArray(x)) return x.map(dictOf);
  if (x !== null && typeof x === "object") return new Dict(Object.entries(x).map(([k, v]) => [k, dictOf(v)]));
  return x;
}
