// Arrays of doubles with a shape: what the translated model needs of numpy, and no more.
"use strict";

// ------------------------------------------------------------------------------- the array itself

class A {
  constructor(d, s, b = false) {
    this.d = d;
    this.s = s;
    this.b = b; // whether its elements are true and false
    this.one = d.length === 1 && s.length === 1; // one draw
  }
  row(i) {
    if (this.s.length === 1) return this.b ? this.d[i] !== 0 : this.d[i];
    const shape = this.s.slice(1), size = product(shape);
    return new A(this.d.slice(i * size, (i + 1) * size), shape, this.b);
  }
  *[Symbol.iterator]() {
    for (let i = 0; i < this.s[0]; i++) yield this.row(i);
  }
}

// The shape of one draw.
const ONE = [1];

const lone = (x) => typeof x === "number" || x.one === true;
const head = (x) => (typeof x === "number" ? x : x.d[0]);

function single(value, flags) {
  const d = new Float64Array(1);
  d[0] = value;
  return new A(d, ONE, flags);
}

// Room for the elements of an array: parts of large blocks, of which each is given away once. A block
// of its own for every array is what takes the time otherwise.
const BLOCK = 1 << 16;
let block = null, used = BLOCK;

function room(n) {
  if (n <= 8 || n > BLOCK / 8) return new Float64Array(n);
  if (used + n > BLOCK) {
    block = new ArrayBuffer(8 * BLOCK);
    used = 0;
  }
  const d = new Float64Array(block, 8 * used, n);
  used += n;
  return d;
}

function product(shape) {
  let n = 1;
  for (let i = 0; i < shape.length; i++) n *= shape[i];
  return n;
}

const isArray = (x) => x instanceof A;

function numeric(x) {
  if (typeof x === "number") return x;
  if (typeof x === "boolean") return x ? 1 : 0;
  throw new TypeError(`${x === null ? "None" : typeof x} among numbers`);
}

function sameShape(s, t) {
  if (s.length !== t.length) return false;
  for (let i = 0; i < s.length; i++) if (s[i] !== t[i]) return false;
  return true;
}

function broadcastShapes(shapes) {
  let depth = 0;
  for (const shape of shapes) if (shape.length > depth) depth = shape.length;
  const out = new Array(depth).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const at = depth - shape.length + i;
      if (shape[i] === 1) continue;
      if (out[at] !== 1 && out[at] !== shape[i]) throw $b.ValueError("the shapes do not broadcast");
      out[at] = shape[i];
    }
  }
  return out;
}

// Scalars lie in arrays of one element, a fixed one for each place among the arguments.
const SCRATCH = Array.from({ length: 16 }, () => new Float64Array(1));

// How to walk over arguments that broadcast: rows of the last axis, an offset and a step for each.
// n is -1 where all of them are plain numbers.
function plan(given) {
  const count = given.length, data = new Array(count), step = new Array(count).fill(0);
  const base = new Array(count).fill(null);
  let shape = null, even = true;
  for (let i = 0; i < count; i++) {
    const x = given[i];
    if (x instanceof A) {
      if (shape === null) shape = x.s;
      else if (even && !sameShape(shape, x.s)) even = false;
    }
  }
  if (shape === null) return { n: -1, data: given.map(numeric) };
  for (let i = 0; i < count; i++) {
    const x = given[i];
    if (x instanceof A) {
      data[i] = x.d;
      step[i] = 1;
    } else {
      SCRATCH[i][0] = numeric(x);
      data[i] = SCRATCH[i];
    }
  }
  if (even) {
    const n = product(shape);
    return { n, shape, rows: 1, columns: n, data, step, base };
  }
  shape = broadcastShapes(given.map((x) => (x instanceof A ? x.s : [])));
  const n = product(shape), columns = shape.length ? shape[shape.length - 1] : 1;
  if (n === columns) {
    // One row: every argument is as long as the row, or one element.
    for (let i = 0; i < count; i++) if (given[i] instanceof A) step[i] = data[i].length === 1 ? 0 : 1;
    return { n, shape, rows: 1, columns, data, step, base };
  }
  const rows = columns ? n / columns : 0, lead = shape.slice(0, -1);
  for (let i = 0; i < count; i++) {
    const x = given[i];
    if (!(x instanceof A)) continue;
    const own = x.s, last = own.length ? own[own.length - 1] : 1;
    step[i] = last === 1 ? 0 : 1;
    // Strides of the leading axes, 0 where the argument is repeated.
    const strides = new Array(lead.length).fill(0);
    let stride = last;
    for (let k = own.length - 2; k >= 0; k--) {
      strides[lead.length - (own.length - 1) + k] = own[k] === 1 ? 0 : stride;
      stride *= own[k];
    }
    const offsets = new Int32Array(rows), at = new Array(lead.length).fill(0);
    for (let r = 0, o = 0; r < rows; r++) {
      offsets[r] = o;
      for (let k = lead.length - 1; k >= 0; k--) {
        at[k]++;
        o += strides[k];
        if (at[k] < lead[k]) break;
        o -= strides[k] * lead[k];
        at[k] = 0;
      }
    }
    base[i] = offsets;
  }
  return { n, shape, rows, columns, data, step, base };
}

// ------------------------------------------------------------------------------------- reductions

// Numpy adds in pairs of blocks: the same order gives the same last digits.
function pairwise(d, o, n) {
  if (n < 8) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += d[o + i];
    return sum;
  }
  if (n <= 128) {
    let a = d[o], b = d[o + 1], c = d[o + 2], e = d[o + 3];
    let f = d[o + 4], g = d[o + 5], h = d[o + 6], k = d[o + 7], i = 8;
    for (; i < n - (n % 8); i += 8) {
      a += d[o + i]; b += d[o + i + 1]; c += d[o + i + 2]; e += d[o + i + 3];
      f += d[o + i + 4]; g += d[o + i + 5]; h += d[o + i + 6]; k += d[o + i + 7];
    }
    let sum = ((a + b) + (c + e)) + ((f + g) + (h + k));
    for (; i < n; i++) sum += d[o + i];
    return sum;
  }
  let half = Math.floor(n / 2);
  half -= half % 8;
  return pairwise(d, o, half) + pairwise(d, o + half, n - half);
}

function reduce(x, axis, keep, start, join, blocks) {
  if (!isArray(x)) x = np.asarray(x);
  if (!isArray(x)) return x;
  if (axis === null || axis === undefined) {
    if (blocks) return blocks(x.d, 0, x.d.length);
    let out = start;
    for (let i = 0; i < x.d.length; i++) out = join(out, x.d[i]);
    return out;
  }
  if (Array.isArray(axis)) {
    // Several axes, the last ones first, so that the others keep their place.
    const depth = x.s.length, places = axis.map((a) => (a < 0 ? a + depth : a)).sort((a, b) => b - a);
    return places.reduce((all, a) => reduce(all, a, keep, start, join, blocks), x);
  }
  const depth = x.s.length, at = axis < 0 ? axis + depth : axis, size = x.s[at];
  const inner = product(x.s.slice(at + 1)), outer = product(x.s.slice(0, at));
  const out = room(outer * inner);
  for (let i = 0; i < outer; i++) {
    for (let j = 0; j < inner; j++) {
      const o = i * size * inner + j;
      if (blocks && inner === 1) {
        out[i] = blocks(x.d, o, size);
        continue;
      }
      let value = start;
      for (let k = 0; k < size; k++) value = join(value, x.d[o + k * inner]);
      out[i * inner + j] = value;
    }
  }
  const shape = x.s.slice();
  if (keep) shape[at] = 1;
  else shape.splice(at, 1);
  return shape.length ? new A(out, shape) : out[0];
}

const sumOf = (x, axis, keep) => reduce(x, axis, keep, 0, (a, b) => a + b, pairwise);
const anyOf = (x, axis) => flag(reduce(x, axis, false, 0, (a, b) => (a || b ? 1 : 0)));
const allOf = (x, axis) => flag(reduce(x, axis, false, 1, (a, b) => (a && b ? 1 : 0)));
const flag = (x) => (isArray(x) ? new A(x.d, x.s, true) : x !== 0 && x !== false);

// ------------------------------------------------------------------------------------------ index

class Slice {
  constructor(from, to, by) {
    this.from = from;
    this.to = to;
    this.by = by;
  }
  // Start, step and count over something of a given length.
  over(length) {
    const by = this.by === null ? 1 : this.by;
    const within = (v, low, high) => Math.min(Math.max(v < 0 ? v + length : v, low), high);
    if (by > 0) {
      const from = this.from === null ? 0 : within(this.from, 0, length);
      const to = this.to === null ? length : within(this.to, 0, length);
      return [from, by, Math.max(0, Math.ceil((to - from) / by))];
    }
    const from = this.from === null ? length - 1 : within(this.from, -1, length - 1);
    const to = this.to === null ? -1 : within(this.to, -1, length - 1);
    return [from, by, Math.max(0, Math.ceil((to - from) / by))];
  }
}

const $slice = (from, to, by) => new Slice(from, to, by);
const $E = Symbol("...");

function places(x) {
  if (!x.b) return Array.from(x.d);
  const out = [];
  for (let i = 0; i < x.d.length; i++) if (x.d[i] !== 0) out.push(i);
  return out;
}

// For each axis of the result the offsets into the array's data, and where they start.
function offsetsOf(x, index) {
  let parts = Array.isArray(index) ? index : [index];
  if (parts.length === 1 && isArray(parts[0]) && parts[0].b && parts[0].s.length > 1) {
    if (!sameShape(parts[0].s, x.s)) throw $b.IndexError("a mask of another shape");
    return { start: 0, axes: [places(parts[0])] };
  }
  const taken = parts.filter((p) => p !== null && p !== $E).length;
  const gap = parts.indexOf($E), rest = new Array(x.s.length - taken).fill(new Slice(null, null, null));
  parts = gap < 0 ? [...parts, ...rest] : [...parts.slice(0, gap), ...rest, ...parts.slice(gap + 1)];
  const axes = [];
  let axis = 0, start = 0, size = product(x.s);
  for (const part of parts) {
    if (part === null) {
      axes.push([0]);
      continue;
    }
    const length = x.s[axis], stride = length ? (size /= length) : 0;
    axis++;
    if (typeof part === "number") {
      const at = part < 0 ? part + length : part;
      if (!(at >= 0 && at < length)) throw $b.IndexError(`index ${part} of ${length}`);
      start += at * stride;
    } else if (part instanceof Slice) {
      const [from, by, count] = part.over(length), list = new Array(count);
      for (let i = 0; i < count; i++) list[i] = (from + i * by) * stride;
      axes.push(list);
    } else if (isArray(part) || Array.isArray(part)) {
      axes.push((isArray(part) ? places(part) : part).map((i) => (i < 0 ? i + length : i) * stride));
    } else {
      throw $b.IndexError("this is no index");
    }
  }
  return { start, axes };
}

function eachOffset({ start, axes }, visit) {
  const depth = axes.length;
  if (!depth) {
    visit(start, 0);
    return;
  }
  let k = 0;
  const last = axes[depth - 1];
  const walk = (axis, o) => {
    if (axis === depth - 1) for (let i = 0; i < last.length; i++) visit(o + last[i], k++);
    else for (const step of axes[axis]) walk(axis + 1, o + step);
  };
  walk(0, start);
}

function getItem(x, index) {
  if (typeof index === "number" && x.s.length === 1) {
    const at = index < 0 ? index + x.s[0] : index;
    if (!(at >= 0 && at < x.s[0])) throw $b.IndexError(`index ${index} of ${x.s[0]}`);
    return x.b ? x.d[at] !== 0 : x.d[at];
  }
  // A new last axis, and the last axis taken away again.
  if (Array.isArray(index) && index.length === 2 && index[0] === $E && index[1] === null) {
    return new A(x.d, [...x.s, 1], x.b);
  }
  const found = offsetsOf(x, index), shape = found.axes.map((a) => a.length);
  const out = room(product(shape));
  eachOffset(found, (o, k) => { out[k] = x.d[o]; });
  if (shape.length) return new A(out, shape, x.b);
  return x.b ? out[0] !== 0 : out[0];
}

function setItem(x, index, value) {
  const found = offsetsOf(x, index);
  if (!isArray(value) && !Array.isArray(value)) {
    const number = numeric(value);
    eachOffset(found, (o) => { x.d[o] = number; });
    return;
  }
  const given = np.broadcast_to(np.asarray(value), found.axes.map((a) => a.length));
  eachOffset(found, (o, k) => { x.d[o] = given.d[k]; });
}
