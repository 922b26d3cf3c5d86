// Numpy's own names, as far as the model uses them.
"use strict";

// ----------------------------------------------------------------------------------- numpy's names

const filled = (shape, value, given = {}) => {
  const s = Array.isArray(shape) ? shape : [shape], flags = given.dtype === $b.bool;
  if (!s.length) return flags ? value !== 0 : numeric(value);
  return new A(new Float64Array(product(s)).fill(numeric(value)), s, flags);
};
const shapeOf = (x) => (isArray(x) ? x.s : Array.isArray(x) ? np.asarray(x).s : []);

// Operators and functions of one element come from the generated loops.
const np = {
  nan: NaN, inf: Infinity, pi: Math.PI, euler_gamma: 0.5772156649015329,
  float64: (x) => $b.float(x), int64: (x) => $b.int(x), bool_: (x) => $t(x),
  asarray(x, given = {}) {
    if (given.dtype === $b.bool) {
      const a = np.asarray(x);
      return isArray(a) ? (a.b ? a : np.not_equal(a, 0)) : $t(a);
    }
    if (isArray(x)) return x;
    if (typeof x === "number" || typeof x === "boolean") return x;
    if (x === null || typeof x === "string") throw $b.TypeError(`${$repr(x)} is not a number`);
    const rows = $it(x).map((v) => np.asarray(v));
    const inner = rows.length ? shapeOf(rows[0]) : [], size = product(inner);
    const out = new Float64Array(rows.length * size);
    rows.forEach((row, i) => {
      if (!sameShape(shapeOf(row), inner)) throw $b.ValueError("rows of different shapes");
      if (isArray(row)) out.set(row.d, i * size);
      else out[i] = numeric(row);
    });
    const flags = rows.length > 0 && rows.every((r) => typeof r === "boolean" || (isArray(r) && r.b));
    return new A(out, [rows.length, ...inner], flags);
  },
  array: (x, given) => { const a = np.asarray(x, given); return isArray(a) ? new A(a.d.slice(), a.s, a.b) : a; },
  atleast_1d: (x) => { const a = np.asarray(x); return isArray(a) ? a : new A(Float64Array.of(numeric(a)), [1]); },
  shape: (x) => shapeOf(x), ndim: (x) => shapeOf(x).length,
  zeros: (shape, given) => filled(shape, 0, given), ones: (shape, given) => filled(shape, 1, given),
  empty: (shape, given) => filled(shape, 0, given),
  full: (shape, value) => np.array(np.broadcast_to(value, Array.isArray(shape) ? shape : [shape])),
  zeros_like: (x) => filled(shapeOf(x), 0), ones_like: (x) => filled(shapeOf(x), 1),
  full_like: (x, value) => np.array(np.broadcast_to(np.asarray(value), shapeOf(x))),
  eye: (n) => {
    const out = filled([n, n], 0);
    for (let i = 0; i < n; i++) out.d[i * n + i] = 1;
    return out;
  },
  arange(from, to, by) {
    if (to === undefined || typeof to === "object") { to = from; from = 0; }
    const step = typeof by === "number" ? by : 1, n = Math.max(0, Math.ceil((to - from) / step));
    return new A(Float64Array.from({ length: n }, (_, i) => from + i * step), [n]);
  },
  linspace(from, to, n) {
    const step = (to - from) / (n - 1);
    const out = Float64Array.from({ length: n }, (_, i) => i * step + from);
    if (n > 1) out[n - 1] = to;
    return new A(out, [n]);
  },
  geomspace(from, to, n) {
    const out = $pow(10, np.linspace(Math.log10(from), Math.log10(to), n));
    out.d[0] = from;
    out.d[n - 1] = to;
    return out;
  },
  broadcast_shapes: (...shapes) => broadcastShapes(shapes),
  broadcast_to(x, shape) {
    if (isArray(x) && sameShape(x.s, shape)) return x;
    if (!shape.length) return x;
    const p = plan([x, filled(shape, 0)]);
    if (!sameShape(p.shape, shape)) throw $b.ValueError("the shapes do not broadcast");
    const out = new Float64Array(p.n);
    let k = 0;
    for (let r = 0; r < p.rows; r++) {
      let o = p.base[0] === null ? 0 : p.base[0][r];
      for (let j = 0; j < p.columns; j++, o += p.step[0]) out[k++] = p.data[0][o];
    }
    return new A(out, p.shape, isArray(x) ? x.b : typeof x === "boolean");
  },
  broadcast_arrays(...xs) {
    const shape = broadcastShapes(xs.map(shapeOf));
    return xs.map((x) => np.broadcast_to(x, shape));
  },
  where(condition, x, y) {
    const truth = (v) => typeof v === "boolean" || (isArray(v) && v.b);
    const out = choice(condition, x, y);
    if (!(truth(x) && truth(y))) return out;
    return isArray(out) ? new A(out.d, out.s, true) : out !== 0;
  },
  clip: (x, low, high) => np.minimum(np.maximum(x, low), high),
  any: (x, axis) => anyOf(x, axis), all: (x, axis) => allOf(x, axis),
  max(x, given = {}) {
    const start = given.initial === undefined ? -Infinity : given.initial;
    return reduce(x, null, false, start, Math.max);
  },
  nanmax(x, given = {}) {
    const start = given.initial === undefined ? -Infinity : given.initial;
    return reduce(x, null, false, start, (a, b) => (b !== b ? a : Math.max(a, b)));
  },
  mean: (x) => { const a = np.asarray(x); return isArray(a) ? sumOf(a) / a.d.length : numeric(a); },
  argmax(x) {
    let best = 0;
    for (let i = 1; i < x.d.length; i++) if (x.d[i] > x.d[best]) best = i;
    return best;
  },
  nan_to_num: (x, given = {}) => np.where(np.isnan(x), given.nan || 0, x),
  concatenate(parts, given = {}) {
    const list = $it(parts).map((p) => np.asarray(p)), depth = list[0].s.length;
    const axis = (given.axis || 0) < 0 ? given.axis + depth : given.axis || 0;
    const shape = list[0].s.slice();
    shape[axis] = list.reduce((n, p) => n + p.s[axis], 0);
    const out = new Float64Array(product(shape)), outer = product(shape.slice(0, axis));
    let o = 0;
    for (let i = 0; i < outer; i++) {
      for (const p of list) {
        const size = p.d.length / outer;
        out.set(p.d.subarray(i * size, (i + 1) * size), o);
        o += size;
      }
    }
    return new A(out, shape, list.every((p) => p.b));
  },
  stack(parts, given = {}) {
    const list = $it(parts).map((p) => np.asarray(p));
    if (!isArray(list[0])) return np.array(list);
    const axis = given.axis === undefined ? 0 : given.axis < 0 ? given.axis + list[0].s.length + 1 : given.axis;
    const wide = list.map((p) => { const s = p.s.slice(); s.splice(axis, 0, 1); return new A(p.d, s, p.b); });
    return np.concatenate(wide, { axis });
  },
  moveaxis(x, from, to) {
    const depth = x.s.length, order = [...Array(depth).keys()];
    const [moved] = order.splice(from < 0 ? from + depth : from, 1);
    order.splice(to < 0 ? to + depth : to, 0, moved);
    const strides = new Array(depth);
    for (let i = depth - 1, n = 1; i >= 0; i--) { strides[i] = n; n *= x.s[i]; }
    const axes = order.map((a) => Array.from({ length: x.s[a] }, (_, i) => i * strides[a]));
    const out = new Float64Array(x.d.length);
    eachOffset({ start: 0, axes }, (o, k) => { out[k] = x.d[o]; });
    return new A(out, order.map((a) => x.s[a]), x.b);
  },
  diff(x, given = {}) {
    const axis = given.axis === undefined ? -1 : given.axis, depth = x.s.length, at = axis < 0 ? axis + depth : axis;
    const pick = (slice) => getItem(x, x.s.map((_, i) => (i === at ? slice : new Slice(null, null, null))));
    return $sub(pick(new Slice(1, null, null)), pick(new Slice(null, -1, null)));
  },
  interp(x, xs, ys) {
    const a = np.asarray(xs).d, b = np.asarray(ys).d, last = a.length - 1;
    if (x <= a[0]) return b[0];
    if (x >= a[last]) return b[last];
    let i = 0;
    while (a[i + 1] <= x) i++;
    return ((b[i + 1] - b[i]) / (a[i + 1] - a[i])) * (x - a[i]) + b[i];
  },
  quantile(x, levels) {
    const sorted = Float64Array.from(np.asarray(x).d).sort(), n = sorted.length;
    const one = (q) => {
      const at = q * (n - 1), low = Math.floor(at), high = Math.min(low + 1, n - 1), t = at - low;
      const a = sorted[low], b = sorted[high], d = b - a;
      return t >= 0.5 ? b - d * (1 - t) : a + d * t;
    };
    return Array.isArray(levels) || isArray(levels) ? np.array($it(levels).map(one)) : one(levels);
  },
  array_equal: (x, y) => {
    const a = np.asarray(x), b = np.asarray(y);
    return sameShape(shapeOf(a), shapeOf(b)) && allOf(np.equal(a, b));
  },
  logical_or: { reduce: (xs) => $it(xs).reduce((a, b) => $bor(a, b)) },
  linalg: {
    // Gauss's elimination with the largest pivot, for every pair of matrices of the last two axes.
    solve(a, b) {
      const n = a.s[a.s.length - 1], m = b.s[b.s.length - 1], count = a.d.length / (n * n);
      const out = b.d.slice(), u = new Float64Array(n * n);
      for (let c = 0; c < count; c++) {
        u.set(a.d.subarray(c * n * n, (c + 1) * n * n));
        const o = c * n * m;
        for (let i = 0; i < n; i++) {
          let p = i;
          for (let k = i + 1; k < n; k++) if (Math.abs(u[k * n + i]) > Math.abs(u[p * n + i])) p = k;
          if (p !== i) {
            for (let j = 0; j < n; j++) [u[i * n + j], u[p * n + j]] = [u[p * n + j], u[i * n + j]];
            for (let j = 0; j < m; j++) [out[o + i * m + j], out[o + p * m + j]] = [out[o + p * m + j], out[o + i * m + j]];
          }
          for (let k = i + 1; k < n; k++) {
            const f = u[k * n + i] / u[i * n + i];
            if (f === 0) continue;
            for (let j = i; j < n; j++) u[k * n + j] -= f * u[i * n + j];
            for (let j = 0; j < m; j++) out[o + k * m + j] -= f * out[o + i * m + j];
          }
        }
        for (let i = n - 1; i >= 0; i--) {
          for (let j = 0; j < m; j++) {
            let v = out[o + i * m + j];
            for (let k = i + 1; k < n; k++) v -= u[i * n + k] * out[o + k * m + j];
            out[o + i * m + j] = v / u[i * n + i];
          }
        }
      }
      return new A(out, b.s);
    },
  },
};

function $matmul(x, y) {
  const n = x.s[x.s.length - 1], rows = x.d.length / n;
  const wide = y.s.length > 1, m = wide ? y.s[y.s.length - 1] : 1;
  if (y.s.length > 2 || y.d.length !== n * m) throw $b.ValueError("matrices that do not fit");
  const out = new Float64Array(rows * m);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += x.d[i * n + k] * y.d[k * m + j];
      out[i * m + j] = sum;
    }
  }
  const shape = wide ? [...x.s.slice(0, -1), m] : x.s.slice(0, -1);
  return shape.length ? new A(out, shape) : out[0];
}

// Methods of arrays, asked for through $m.
const ARRAY_METHODS = {
  sum: (x, axis, given) => sumOf(x, given.axis === undefined ? axis : given.axis, given.keepdims),
  any: (x, axis) => anyOf(x, axis), all: (x, axis) => allOf(x, axis),
  max: (x) => np.max(x), min: (x) => reduce(x, null, false, Infinity, Math.min), mean: (x) => np.mean(x),
  copy: (x) => np.array(x), ravel: (x) => new A(x.d, [x.d.length], x.b),
  reshape(x, ...rest) {
    rest.pop(); // no keywords
    let shape = (Array.isArray(rest[0]) ? rest[0] : rest).slice();
    const free = shape.indexOf(-1);
    if (free >= 0) shape[free] = x.d.length / product(shape.filter((_, i) => i !== free));
    if (product(shape) !== x.d.length) throw $b.ValueError("another number of elements");
    return shape.length ? new A(x.d, shape, x.b) : x.row(0);
  },
  astype: (x) => x, tolist: (x) => $it(x).map((r) => (isArray(r) ? ARRAY_METHODS.tolist(r) : r)),
  // The bytes serve as a key.
  tobytes: (x) => Array.prototype.join.call(x.d, ","),
  setflags: () => null,
};
