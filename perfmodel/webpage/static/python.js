// What Python means by an index, a sum, a keyword, a format: the runtime of the translated model.
"use strict";

// ---------------------------------------------------------------------------- functions and classes

const NOTHING = Symbol("nothing");

class Thing {
  constructor(...given) {
    if (given[0] !== NOTHING) this.$build(given);
  }
}

// Names of a function's parameters; `rest` names what takes all other keywords, "*" a star.
function $fn(f, names, rest = null) {
  f.$p = names;
  f.$rest = rest;
  return f;
}

class Keywords {
  constructor(given) {
    this.given = given;
  }
}

// Take the keywords after a star from the end of its arguments.
function $take(star) {
  return star.length && star[star.length - 1] instanceof Keywords ? star.pop().given : {};
}

function $place(about, name, given, pairs) {
  if (!about) throw $b.TypeError(`${name} takes no keywords`);
  const out = given.slice();
  let more = null;
  for (const [key, value] of pairs) {
    const at = about.p.indexOf(key);
    if (at >= 0) {
      if (at < given.length) throw $b.TypeError(`${name}() got several values for '${key}'`);
      while (out.length <= at) out.push(undefined);
      out[at] = value;
    } else if (about.rest === null) {
      throw $b.TypeError(`${name}() got an unexpected keyword '${key}'`);
    } else {
      (more ||= []).push([key, value]);
    }
  }
  if (about.rest === "*") {
    if (more) out.push(new Keywords(Object.fromEntries(more)));
  } else if (about.rest !== null) {
    while (out.length < about.p.length) out.push(undefined);
    out.push(new Dict(more || []));
  }
  return out;
}

const $about = (f) => (f.$p ? { p: f.$p, rest: f.$rest } : f.$init ? f.$init : null);

function $kw(f, given, pairs) {
  if (f.$class) return $new(f, given, pairs);
  if (f.$keywords) return f.$keywords(given, pairs);
  return f(...$place($about(f), f.name, given, pairs));
}

function $kwm(owner, name, given, pairs) {
  const about = (owner.$methods || owner.constructor.$methods || {})[name];
  if (!about && typeof owner[name] === "function" && owner[name].$p) return $kw(owner[name], given, pairs);
  return owner[name](...$place(about, name, given, pairs));
}

function $new(kind, given, pairs) {
  if (kind.$get) return kind.$get(...given);
  if (kind.$error) return kind(...given);
  const about = kind.$about || null;
  return new kind(...(pairs.length || (about && about.rest !== null) ? $place(about, kind.name, given, pairs) : given));
}

const $call = (f) => (f.$class ? new f() : f());

function $class(kind, name, methods) {
  kind.$class = name;
  kind.$methods = { ...(Object.getPrototypeOf(kind).$methods || {}), ...Object.fromEntries(methods) };
  kind.prototype.$methods = kind.$methods;
  const init = kind.$methods.$init;
  if (init) kind.$about = init;
}

// JavaScript's constructor of a class hands everything to Python's.
Thing.prototype.$build = function (given) {
  const kind = this.constructor;
  if (kind.$fields) {
    kind.$fields.forEach(([name, made], i) => {
      const value = given[i];
      if (value !== undefined) this[name] = value;
      else if (made) this[name] = made();
      else throw $b.TypeError(`${kind.$class}() misses '${name}'`);
    });
    if (this.__post_init__) this.__post_init__();
  } else if (this.$init) {
    this.$init(...given);
  }
};

function $data(kind, fields, equal) {
  kind.$fields = fields.filter((f) => f[2]);
  kind.$equal = equal;
  kind.$about = { p: kind.$fields.map((f) => f[0]), rest: null };
}

function $enum(kind, members) {
  kind.$members = [];
  for (const [name, value] of members) {
    const member = Object.create(kind.prototype);
    Object.assign(member, { name, value });
    kind[name] = member;
    kind.$members.push(member);
  }
  kind.$get = (value) => {
    const found = kind.$members.find((m) => m.value === value);
    if (!found) throw $b.ValueError(`${$repr(value)} is not a valid ${kind.$class}`);
    return found;
  };
}

// Keep the last answers of a pure function, by its arguments.
function $remember(f, count) {
  const kept = new Map();
  const wrapped = (...given) => {
    const key = given.map($key).join("|");
    if (kept.has(key)) return kept.get(key);
    const answer = f(...given);
    kept.set(key, answer);
    if (kept.size > count) kept.delete(kept.keys().next().value);
    return answer;
  };
  return $fn(wrapped, f.$p, f.$rest);
}

function $key(x) {
  if (x instanceof A) return x.s.join("x") + (x.b ? "b" : ":") + Array.prototype.join.call(x.d, ",");
  if (Array.isArray(x)) return `(${x.map($key).join(";")})`;
  if (x instanceof Dict) return `{${x.items().map($key).join(";")}}`;
  if (x instanceof Thing) {
    if (x.constructor.$members) return `${x.constructor.$class}.${x.name}`;
    if (x.constructor.$fields) return `<${x.constructor.$fields.map(([n]) => $key(x[n])).join(";")}>`;
    return `#${(x.$id ||= ++$key.count)}`;
  }
  return `${typeof x}${x}`;
}
$key.count = 0;

// ------------------------------------------------------------------------------ dicts, sets, truth

class Dict {
  constructor(pairs = []) {
    this.map = new Map();
    for (const [k, v] of pairs) this.put(k, v);
  }
  put(k, v) {
    const key = $hash(k), old = this.map.get(key);
    this.map.set(key, [old ? old[0] : k, v]);
  }
  has(k) { return this.map.has($hash(k)); }
  at(k) {
    const found = this.map.get($hash(k));
    if (found === undefined) throw $b.KeyError($repr(k));
    return found[1];
  }
  get(k, fallback = null) {
    const found = this.map.get($hash(k));
    return found === undefined ? fallback : found[1];
  }
  setdefault(k, value = null) {
    if (!this.has(k)) this.put(k, value);
    return this.at(k);
  }
  pop(k, fallback) {
    if (!this.has(k) && fallback !== undefined) return fallback;
    const value = this.at(k);
    this.map.delete($hash(k));
    return value;
  }
  copy() { return new Dict(this.items()); }
  update(other) { for (const [k, v] of other.items()) this.put(k, v); }
  items() { return [...this.map.values()]; }
  keys() { return this.items().map((p) => p[0]); }
  values() { return this.items().map((p) => p[1]); }
  [Symbol.iterator]() { return this.keys()[Symbol.iterator](); }
}

class PySet {
  constructor(values = []) {
    this.map = new Map(values.map((v) => [$hash(v), v]));
  }
  has(v) { return this.map.has($hash(v)); }
  add(v) { this.map.set($hash(v), v); }
  [Symbol.iterator]() { return this.map.values(); }
}

// A key of JavaScript's Map: the value itself, or a text for what is compared by its parts.
function $hash(k) {
  if (Array.isArray(k)) return $key(k);
  if (k instanceof Thing && k.constructor.$equal) return $key(k);
  return k;
}

function $t(x) {
  if (typeof x === "boolean") return x;
  if (x === null || x === undefined) return false;
  if (typeof x === "number") return x !== 0;
  if (typeof x === "string" || Array.isArray(x)) return x.length > 0;
  if (x instanceof A) {
    if (x.d.length !== 1) throw $b.ValueError("the truth of an array of several elements");
    return x.d[0] !== 0;
  }
  if (x instanceof Dict || x instanceof PySet) return x.map.size > 0;
  return true;
}

const $andv = (a, b) => ($t(a) ? b() : a);
const $orv = (a, b) => ($t(a) ? a : b());

// Anything that a loop may run over, as a list.
function $it(x) {
  if (Array.isArray(x)) return x;
  if (x === null || x === undefined) throw $b.TypeError("None is not iterable");
  if (x.$members) return x.$members;
  return Array.from(x);
}

// ---------------------------------------------------------------------------------------- operators

const $arith = (x) => typeof x === "number" || typeof x === "boolean" || x instanceof A;

function $add(x, y) {
  if (typeof x === "number" && typeof y === "number") return x + y;
  if (typeof x === "string" && typeof y === "string") return x + y;
  if (Array.isArray(x) && Array.isArray(y)) return [...x, ...y];
  return np.add(x, y);
}
function $mul(x, y) {
  if (typeof x === "number" && typeof y === "number") return x * y;
  if (Array.isArray(x)) return [].concat(...Array.from({ length: Math.max(y, 0) }, () => x));
  if (typeof x === "string") return x.repeat(Math.max(y, 0));
  return np.multiply(x, y);
}
const $sub = (x, y) => (typeof x === "number" && typeof y === "number" ? x - y : np.subtract(x, y));
function $div(x, y) {
  // Numpy's numbers divide by 0 and Python's refuse: here all are numpy's.
  if (typeof x === "number" && typeof y === "number") return x / y;
  return np.divide(x, y);
}
const $pow = (x, y) => (typeof x === "number" && typeof y === "number" ? (y === 2 ? x * x : Math.pow(x, y)) : y === 2 ? np.square(x) : np.power(x, y));
const $floordiv = (x, y) => (typeof x === "number" && typeof y === "number" ? Math.floor(x / y) : np.floor_divide(x, y));
const $mod = (x, y) => (typeof x === "number" && typeof y === "number" ? x - y * Math.floor(x / y) : np.remainder(x, y));
const $neg = (x) => (typeof x === "number" ? -x : np.negative(x));
const $inv = (x) => (typeof x === "boolean" ? !x : np.logical_not(x));

function $band(x, y) {
  if (typeof x === "boolean" && typeof y === "boolean") return x && y;
  if (x instanceof Thing && x.__and__) return x.__and__(y);
  if (x instanceof PySet) return new PySet([...x].filter((v) => y.has(v)));
  return np.logical_and(x, y);
}
function $bor(x, y) {
  if (typeof x === "boolean" && typeof y === "boolean") return x || y;
  if (x instanceof Dict) return new Dict([...x.items(), ...y.items()]);
  if (x instanceof PySet) return new PySet([...x, ...y]);
  return np.logical_either(x, y);
}

const $lt = (x, y) => (typeof x === "number" && typeof y === "number" ? x < y : Array.isArray(x) ? $order(x, y) < 0 : np.less(x, y));
const $le = (x, y) => (typeof x === "number" && typeof y === "number" ? x <= y : Array.isArray(x) ? $order(x, y) <= 0 : np.less_equal(x, y));
const $gt = (x, y) => (typeof x === "number" && typeof y === "number" ? x > y : Array.isArray(x) ? $order(x, y) > 0 : np.greater(x, y));
const $ge = (x, y) => (typeof x === "number" && typeof y === "number" ? x >= y : Array.isArray(x) ? $order(x, y) >= 0 : np.greater_equal(x, y));

// The order of tuples and strings.
function $order(x, y) {
  if (Array.isArray(x) && Array.isArray(y)) {
    for (let i = 0; i < Math.min(x.length, y.length); i++) {
      const o = $order(x[i], y[i]);
      if (o) return o;
    }
    return x.length - y.length;
  }
  return x < y ? -1 : x > y ? 1 : 0;
}

function $same(x, y) {
  if (x === y) return true;
  if (Array.isArray(x) && Array.isArray(y)) return x.length === y.length && x.every((v, i) => $same(v, y[i]));
  if (x instanceof Dict && y instanceof Dict) {
    return x.map.size === y.map.size && x.items().every(([k, v]) => y.has(k) && $same(v, y.at(k)));
  }
  if (x instanceof PySet && y instanceof PySet) return x.map.size === y.map.size && [...x].every((v) => y.has(v));
  if (x instanceof Thing && y instanceof Thing && x.constructor === y.constructor && x.constructor.$equal) {
    return x.constructor.$fields.every(([n]) => $same(x[n], y[n]));
  }
  if (typeof x === "boolean" && typeof y === "number") return Number(x) === y;
  if (typeof x === "number" && typeof y === "boolean") return x === Number(y);
  return false;
}
const $eq = (x, y) => (x instanceof A || y instanceof A ? np.equal(x, y) : $same(x, y));
const $ne = (x, y) => (x instanceof A || y instanceof A ? np.not_equal(x, y) : !$same(x, y));

function $chain(first, ...links) {
  let left = first;
  for (const [compare, next] of links) {
    const right = next();
    if (!$t(compare(left, right))) return false;
    left = right;
  }
  return true;
}

function $in(x, all) {
  if (typeof all === "string") return all.includes(x);
  if (all instanceof Dict || all instanceof PySet) return all.has(x);
  return $it(all).some((v) => $same(v, x));
}

// --------------------------------------------------------------------------- index, attribute, call

function $get(x, index) {
  if (x instanceof A) return getItem(x, index);
  if (x instanceof Dict) return x.at(index);
  if (Array.isArray(x) || typeof x === "string") {
    if (index instanceof Slice) {
      const [from, by, count] = index.over(x.length);
      const out = Array.from({ length: count }, (_, i) => x[from + i * by]);
      return typeof x === "string" ? out.join("") : out;
    }
    const at = index < 0 ? index + x.length : index;
    if (!(at >= 0 && at < x.length)) throw $b.IndexError(`index ${index} of ${x.length}`);
    return x[at];
  }
  // A number is an array without axes.
  if (typeof x === "number" || typeof x === "boolean") return numberItem(x, index);
  if (x.__getitem__) return x.__getitem__(index);
  if (x instanceof Flat) return x.x.row(index);
  throw $b.TypeError(`no index into ${typeof x}`);
}

function numberItem(x, index) {
  const parts = (Array.isArray(index) ? index : [index]).filter((p) => p !== $E);
  if (parts.some((p) => p !== null)) {
    if (parts.length === 1 && parts[0] === true) return new A(Float64Array.of(numeric(x)), [1]);
    throw $b.IndexError("too many indices");
  }
  return parts.length ? new A(Float64Array.of(numeric(x)), parts.map(() => 1), typeof x === "boolean") : x;
}

function $set(x, index, value) {
  if (x instanceof A) setItem(x, index, value);
  else if (x instanceof Dict) x.put(index, value);
  else if (Array.isArray(x)) x[index < 0 ? index + x.length : index] = value;
  else throw $b.TypeError(`cannot set an element of ${typeof x}`);
}

class Flat { constructor(x) { this.x = new A(x.d, [x.d.length], x.b); } }

function $attr(x, name) {
  if (x instanceof A) {
    if (name === "shape") return x.s;
    if (name === "size") return x.d.length;
    if (name === "ndim") return x.s.length;
    if (name === "flat") return new Flat(x);
    if (name === "T") return x.s.length < 2 ? x : np.moveaxis(x, 0, 1);
  }
  if (typeof x === "number" || typeof x === "boolean") {
    return { shape: [], size: 1, ndim: 0, flat: new Flat(np.atleast_1d(x)), T: x }[name];
  }
  if (name === "__name__") return x.$class || x.name;
  if (name === "__dataclass_fields__") {
    return new Dict(x.$fields.map(([n, made]) => [n, { name: n, get default() { return made ? made() : null; } }]));
  }
  return x[name];
}

const STRING_METHODS = {
  join: (s, list) => $it(list).join(s),
  startswith: (s, t) => (Array.isArray(t) ? t.some((u) => s.startsWith(u)) : s.startsWith(t)),
  endswith: (s, t) => (Array.isArray(t) ? t.some((u) => s.endsWith(u)) : s.endsWith(t)),
  split: (s, by) => (by === undefined ? s.trim().split(/\s+/) : s.split(by)),
  partition(s, by) { const i = s.indexOf(by); return i < 0 ? [s, "", ""] : [s.slice(0, i), by, s.slice(i + by.length)]; },
  rpartition(s, by) { const i = s.lastIndexOf(by); return i < 0 ? ["", "", s] : [s.slice(0, i), by, s.slice(i + by.length)]; },
  replace: (s, a, b) => s.split(a).join(b),
  strip: (s) => s.trim(), lstrip: (s) => s.trimStart(), rstrip: (s) => s.trimEnd(),
  lower: (s) => s.toLowerCase(), upper: (s) => s.toUpperCase(),
  removeprefix: (s, t) => (t && s.startsWith(t) ? s.slice(t.length) : s),
  removesuffix: (s, t) => (t && s.endsWith(t) ? s.slice(0, s.length - t.length) : s),
  index: (s, t) => s.indexOf(t), count: (s, t) => s.split(t).length - 1,
};
const LIST_METHODS = {
  append: (x, v) => { x.push(v); return null; },
  extend: (x, more) => { x.push(...$it(more)); return null; },
  insert: (x, i, v) => { x.splice(i, 0, v); return null; },
  pop: (x, i = -1) => x.splice(i < 0 ? i + x.length : i, 1)[0],
  copy: (x) => x.slice(),
  index(x, v) { const i = x.findIndex((w) => $same(v, w)); if (i < 0) throw $b.ValueError("not in the list"); return i; },
  count: (x, v) => x.filter((w) => $same(v, w)).length,
};
const NUMBER_METHODS = {
  is_integer: (x) => Number.isInteger(x), copy: (x) => x, item: (x) => x, astype: (x) => x,
  sum: (x) => numeric(x), any: (x) => $t(x), all: (x) => $t(x), max: (x) => x, min: (x) => x, mean: (x) => numeric(x),
  ravel: (x) => np.atleast_1d(x), reshape: (x) => np.atleast_1d(x), tolist: (x) => x, tobytes: (x) => `${x}`,
};

// A method whose name Python's own types have.
function $m(x, name, given, pairs) {
  const table = typeof x === "string" ? STRING_METHODS : Array.isArray(x) ? LIST_METHODS
    : x instanceof A ? ARRAY_METHODS : typeof x === "number" || typeof x === "boolean" ? NUMBER_METHODS : null;
  if (table === null) return pairs.length ? $kwm(x, name, given, pairs) : x[name](...given);
  if (!table[name]) throw $b.TypeError(`no method ${name} of ${$repr(x)}`);
  if (table !== ARRAY_METHODS) return table[name](x, ...given);
  const keywords = Object.fromEntries(pairs);
  if (name === "reshape") return ARRAY_METHODS.reshape(x, ...given, keywords);
  return table[name](x, given[0], keywords);
}

const KINDS = {
  float: (x) => typeof x === "number", int: (x) => typeof x === "boolean" || Number.isInteger(x),
  bool: (x) => typeof x === "boolean", str: (x) => typeof x === "string",
  Mapping: (x) => x instanceof Dict, dict: (x) => x instanceof Dict,
  type: (x) => typeof x === "function" && x.$class !== undefined,
  list: (x) => Array.isArray(x), tuple: (x) => Array.isArray(x), ndarray: (x) => x instanceof A,
};
const $isinstance = (x, kinds) => kinds.some((k) => {
  if (typeof k !== "string") return x instanceof k;
  if (!KINDS[k]) throw new Error(`isinstance of ${k}`);
  return KINDS[k](x);
});
