// Twins of perfmodel/equations/numeric.py and of what it takes from scipy.special, by hand: numbers in,
// a number out. The tests hold each against Python.
"use strict";

const EULER = 0.5772156649015329;

const horner = (coefficients, x) => {
  let out = coefficients[coefficients.length - 1];
  for (let i = coefficients.length - 2; i >= 0; i--) out = out * x + coefficients[i];
  return out;
};
const factorials = [1];
for (let i = 1; i < 30; i++) factorials.push(factorials[i - 1] * i);
const sequence = (count, of) => Array.from({ length: count }, (_, j) => of(j));

// --------------------------------------------------------------------- exponentials and logarithms

function squared(x) { return x * x; }
function oneMinusExp(z) { return -Math.expm1(-z); }

// Most arguments are small, for which the first terms give every digit.
const PHI_SERIES = sequence(6, (k) => sequence(18, (j) => (j % 2 ? -1 : 1) / factorials[j + k]));
const PHI_SHORT = PHI_SERIES.map((series) => series.slice(0, 8));

function phi(k, z) {
  if (k === 0) return Math.exp(-z);
  if (z < 0.02) return horner(PHI_SHORT[k], z);
  if (z < (k <= 2 ? 0.8 : 1.6)) return horner(PHI_SERIES[k], z);
  if (z === Infinity) return 0;
  let value = -Math.expm1(-z) / z;
  for (let step = 1; step < k; step++) value = (1 / factorials[step] - value) / z;
  return value;
}

const LOG_SERIES = sequence(26, (j) => (j % 2 ? -1 : 1) / (j + 2)), LOG_SHORT = LOG_SERIES.slice(0, 10);

function logSeries(x) { return horner(Math.abs(x) < 0.02 ? LOG_SHORT : LOG_SERIES, x); }
function logExcess(x) { return Math.abs(x) < 0.25 ? x * x * logSeries(x) : x - Math.log1p(x); }
function logExcessRatio(x) { return Math.abs(x) < 0.25 ? logSeries(x) : (x - Math.log1p(x)) / (x * x); }
function logRatio(x) { return x === 0 ? 1 : Math.log1p(x) / x; }

function xlogy(x, y) { return x === 0 && y === y ? 0 : x * Math.log(y); }
function xlog1py(x, y) { return x === 0 && y === y ? 0 : x * Math.log1p(y); }
function logaddexp(x, y) {
  if (x === y) return x + Math.LN2;
  const apart = x - y;
  if (apart > 0) return x + Math.log1p(Math.exp(-apart));
  return apart <= 0 ? y + Math.log1p(Math.exp(apart)) : apart;
}
function expit(x) {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

// -------------------------------------------------------------------------------- the gamma function

// Stirling's correction: Gamma(a) = sqrt(2 pi/a) (a/e)^a exp(stirling(a)).
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400];

function stirling(a) {
  // The series needs a large argument; below, step up: Gamma(a) = Gamma(a + 1)/a.
  let x = a, shift = 0;
  while (x < 16) {
    // ln(a/(a+1)) of the leading terms, written without their cancellation.
    shift += (x + 0.5) * Math.log1p(1 / x) - 1;
    x += 1;
  }
  return shift + horner(STIRLING, 1 / (x * x)) / x;
}

function gammaln(a) {
  if (a !== a) return NaN;
  if (a === 1 || a === 2) return 0;
  if (a < 16) {
    let x = a, product_ = 1;
    while (x < 16) { product_ *= x; x += 1; }
    return gammaln(x) - Math.log(product_);
  }
  return (a - 0.5) * Math.log(a) - a + 0.9189385332046727 + stirling(a);
}

// away - ln(ratio) of a ratio 1 + away, with the digits of the one that is small.
function excessOf(away, ratio) { return Math.abs(away) < 0.25 ? logExcess(away) : away - Math.log(ratio); }

// x^a e^-x / Gamma(a + 1), without the cancellation of large terms.
function poissonWeight(a, x) {
  if (x === 0) return a === 0 ? 1 : 0;
  if (a < 1) return Math.exp(a * Math.log(x) - x - gammaln(a + 1));
  // a ln(x/a) - (x - a) = -a (away - ln(1 + away)), away = x/a - 1
  return Math.exp(-a * excessOf((x - a) / a, x / a) - stirling(a)) / Math.sqrt(2 * Math.PI * a);
}

// Upper tail by its continued fraction (modified Lentz), for x above a + 1.
function upperGamma(a, x) {
  const tiny = 1e-300;
  let b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
  for (let i = 1; i < 100000; i++) {
    const an = -i * (i - a);
    b += 2;
    d = an * d + b;
    if (Math.abs(d) < tiny) d = tiny;
    c = b + an / c;
    if (Math.abs(c) < tiny) c = tiny;
    d = 1 / d;
    const step = d * c;
    h *= step;
    if (Math.abs(step - 1) < 1e-16) break;
  }
  return poissonWeight(a, x) * a * h;
}

function lowerGamma(a, x) {
  let term = 1, sum = 1;
  for (let k = 1; k < 1000000; k++) {
    term *= x / (a + k);
    sum += term;
    if (term < sum * 1e-17) break;
  }
  return poissonWeight(a, x) * sum;
}

// Q(a, x) of a small a, where 1 - P loses its digits: P = 1 - Q is close to x^a/Gamma(a + 1).
function upperGammaSmall(a, x) {
  // Q = 1 - x^a/Gamma(a+1) + x^a/Gamma(a) sum (-1)^{n+1} x^n/(n! (a+n)) for n from 1.
  const power = a * Math.log(x) - lgamma1p(a);
  let term = 1, sum = 0;
  for (let n = 1; n < 200; n++) {
    term *= -x / n;
    const part = term / (a + n);
    sum += part;
    if (Math.abs(part) < Math.abs(sum) * 1e-17) break;
  }
  return -Math.expm1(power) - a * Math.exp(power) * sum;
}

const ZETA = [0, 0];
for (let s = 2; s < 40; s++) ZETA.push(zeta(s));

// Riemann's zeta by Euler and Maclaurin from the twentieth term on.
function zeta(s) {
  const n = 20;
  let sum = 0;
  for (let k = 1; k < n; k++) sum += Math.pow(k, -s);
  sum += Math.pow(n, 1 - s) / (s - 1) + 0.5 * Math.pow(n, -s);
  const bernoulli = [1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160];
  let rising = s;
  for (let j = 0; j < bernoulli.length; j++) {
    sum += bernoulli[j] * rising * Math.pow(n, -s - 1 - 2 * j);
    rising *= (s + 1 + 2 * j) * (s + 2 + 2 * j);
  }
  return sum;
}

// ln Gamma(1 + a), with all digits near 0.
function lgamma1p(a) {
  if (Math.abs(a) > 0.2) return gammaln(1 + a);
  let sum = -EULER * a, power = a;
  for (let k = 2; k < 40; k++) {
    power *= -a;
    // Terms (-a)^k zeta(k)/k.
    sum += (-power * ZETA[k]) / k;
  }
  return sum;
}

function gammaincc(a, x) {
  if (!(a >= 0) || !(x >= 0)) return NaN;
  if (x === 0) return a === 0 ? NaN : 1;
  if (a === 0 || x === Infinity) return 0;
  if (a === Infinity) return 1;
  if (x > a + 1) return upperGamma(a, x);
  if (a < 0.5 && x < 1.5) return upperGammaSmall(a, x);
  return 1 - lowerGamma(a, x);
}

function gammainc(a, x) {
  if (!(a >= 0) || !(x >= 0)) return NaN;
  if (x === 0) return a === 0 ? NaN : 0;
  if (a === 0 || x === Infinity) return 1;
  if (a === Infinity) return 0;
  return x > a + 1 ? 1 - upperGamma(a, x) : lowerGamma(a, x);
}

function digamma(x) {
  let out = 0;
  while (x < 16) { out -= 1 / x; x += 1; }
  const y = 1 / (x * x);
  const series = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12];
  return out + Math.log(x) - 0.5 / x - y * horner(series, y);
}

// Inverse of the incomplete gamma function: only variances that the page does not show need it.
function gammaincinv() { return NaN; }

// ---------------------------------------------------------------------------------- the beta function

function betainc(a, b, x) {
  if (a !== a || b !== b || x !== x || x < 0 || x > 1) return NaN;
  if (x === 0 || x === 1) return x;
  return x < (a + 1) / (a + b + 2) ? betaTail(a, b, x, 1 - x) : 1 - betaTail(b, a, 1 - x, x);
}

function betaTail(a, b, x, y) {
  // x^a y^b/B(a, b), about the mode a/(a+b), where a u + b v = 0.
  const n = a + b, u = (x * n - a) / a, v = (y * n - b) / b;
  const weight = Math.exp(-(a * excessOf(u, (x * n) / a) + b * excessOf(v, (y * n) / b)) + stirling(n) - stirling(a) - stirling(b))
    * Math.sqrt((a / n) * b / (2 * Math.PI));
  const tiny = 1e-300;
  let c = 1, d = 1 - (n * x) / (a + 1);
  if (Math.abs(d) < tiny) d = tiny;
  d = 1 / d;
  let h = d;
  for (let m = 1; m < 100000; m++) {
    let step = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 + step * d;
    if (Math.abs(d) < tiny) d = tiny;
    c = 1 + step / c;
    if (Math.abs(c) < tiny) c = tiny;
    d = 1 / d;
    h *= d * c;
    step = (-(a + m) * (n + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 + step * d;
    if (Math.abs(d) < tiny) d = tiny;
    c = 1 + step / c;
    if (Math.abs(c) < tiny) c = tiny;
    d = 1 / d;
    const both = d * c;
    h *= both;
    if (Math.abs(both - 1) < 1e-16) break;
  }
  return (weight * h) / a;
}

// ------------------------------------------------------------------------------------ entire integrals

// E1(x) by its continued fraction, x at least 1.
function exp1(x) {
  let b = x + 1, c = 1e300, d = 1 / b, h = d;
  for (let i = 1; i < 400; i++) {
    const a = -i * i;
    b += 2;
    d = 1 / (a * d + b);
    c = b + a / c;
    const step = c * d;
    h *= step;
    if (Math.abs(step - 1) < 1e-16) break;
  }
  return h * Math.exp(-x);
}

const EIN_SERIES = sequence(24, (j) => (j % 2 ? -1 : 1) / ((j + 1) * factorials[j + 1]));
const EIN2_SERIES = sequence(24, (j) => (j % 2 ? -1 : 1) / ((j + 1) ** 2 * factorials[j + 1]));

function ein(z) { return z < 1.5 ? z * horner(EIN_SERIES, z) : Math.log(z) + EULER + exp1(z); }

function ein2(z) {
  if (z < 1.5) return z * horner(EIN2_SERIES, z);
  const whole = 0.5 * (Math.log(z) + EULER) ** 2 + Math.PI ** 2 / 12;
  if (!(z < 60)) return whole;
  const top = Math.log1p(42 / z);
  let tail = 0;
  for (let i = 0; i < LEGENDRE.nodes.length; i++) {
    tail += LEGENDRE.weights[i] * exp1(z * Math.exp(0.5 * top * (LEGENDRE.nodes[i] + 1)));
  }
  return whole - 0.5 * top * tail;
}

// Gauss and Legendre's rule of 32 points, by Newton from Chebyshev's roots.
const LEGENDRE = ((n) => {
  const nodes = [], weights = [];
  for (let i = 0; i < n; i++) {
    let x = -Math.cos(Math.PI * (i + 0.75) / (n + 0.5)), slope = 0;
    for (let k = 0; k < 100; k++) {
      let p = 1, q = 0;
      for (let j = 1; j <= n; j++) [p, q] = [((2 * j - 1) * x * p - (j - 1) * q) / j, p];
      slope = (n * (x * p - q)) / (x * x - 1);
      const step = p / slope;
      x -= step;
      if (Math.abs(step) < 1e-16) break;
    }
    nodes.push(x);
    weights.push(2 / ((1 - x * x) * slope * slope));
  }
  return { nodes, weights };
})(32);

const HARMONIC_SERIES = sequence(26, (j) => (j % 2 ? -1 : 1) * ZETA[j + 2]);

function harmonic(n) { return n < 0.25 ? n * horner(HARMONIC_SERIES, n) : digamma(n + 1) + EULER; }

function dilog(z) {
  const series = (w) => {
    let sum = 0, power = 1;
    for (let k = 1; k < 400; k++) {
      power *= w;
      const term = power / (k * k);
      sum += term;
      if (Math.abs(term) < Math.abs(sum) * 1e-17) break;
    }
    return sum;
  };
  if (z === 0) return 0;
  if (z < 0.1) return -series(-z);
  // Landen's and the inversion formula bring the argument of the series to 1/2 at most.
  if (z <= 1) return series(z / (1 + z)) + 0.5 * Math.log1p(z) ** 2;
  return Math.PI ** 2 / 6 + 0.5 * Math.log(z) ** 2 - (series(1 / (1 + z)) + 0.5 * Math.log1p(1 / z) ** 2);
}

function poissonTail(k, a) {
  if (k !== k || a !== a) return NaN;
  return k <= 0 ? 1 : gammainc(Math.max(k, 1), a);
}

function binomialTail(j, n, s) {
  if (j !== j || n !== n || s !== s) return NaN;
  if (j > 0 && j <= n) return betainc(j, n - j + 1, s);
  return j > n && j > 0 ? 0 : 1;
}

// -------------------------------------------------------------- Erlang's loss and the machine repairman

// P(line idle), mean and variance of the number at the line.
function lineSums(n, r) {
  const top = Math.trunc(Math.min(Math.max(n, 1), 9.5 * Math.sqrt(Math.max(n, 1)) + 12)) + 1;
  const weights = new Float64Array(top), squares = new Float64Array(top);
  let weight = 1, first = 0;
  for (let k = 1; k <= top; k++) {
    weight *= Math.max(n - k + 1, 0) / r;
    weights[k - 1] = weight;
    first += weight * k;
  }
  const total = 1 + pairwise(weights, 0, top), mean = first / total;
  for (let k = 1; k <= top; k++) squares[k - 1] = weights[k - 1] * (k - mean) ** 2;
  return [1 / total, mean, (pairwise(squares, 0, top) + mean * mean) / total];
}

function line(n, r, which) {
  if (n !== n || r !== r) return NaN;
  if (r < n) {
    const b = Math.exp(xlogy(n, r) - r - gammaln(n + 1)) / gammaincc(n + 1, r), queue = n - r * (1 - b);
    if (which === 0) return b;
    if (which === 1) return 1 - b;
    return which === 2 ? queue : r * (1 - b) - r * b * queue;
  }
  const [b, queue, variance] = lineSums(n, r);
  if (which === 1) return r === 0 ? NaN : (n - queue) / r;
  return which === 0 ? b : which === 2 ? queue : variance;
}

// ------------------------------------------------------------------------------------- normal quantiles

function normal(x) {
  const tail = 0.5 * gammaincc(0.5, 0.5 * x * x);
  return x > 0 ? 1 - tail : tail;
}

function ndtri(p) {
  if (!(p > 0 && p < 1)) return p === 0 ? -Infinity : p === 1 ? Infinity : NaN;
  if (p > 0.5) return -ndtri(1 - p);
  // Newton in the logarithm of the tail, which is nearly a parabola.
  let x = -Math.sqrt(Math.max(0, -2 * Math.log(2 * p)));
  for (let i = 0; i < 60; i++) {
    const tail = normal(x), slope = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI) / tail;
    const step = (Math.log(tail) - Math.log(p)) / slope;
    x -= step;
    if (Math.abs(step) < 1e-15 * Math.max(1, Math.abs(x))) break;
  }
  return x;
}

// By the names that sympy prints.
const F = {
  OneMinusExp: oneMinusExp, Phi: phi, Log1p: Math.log1p, LogExcess: logExcess, LogExcessRatio: logExcessRatio,
  LogRatio: logRatio, Dilog: dilog, Ein: ein, Ein2: ein2, Harmonic: harmonic, PoissonTail: poissonTail,
  BinomialTail: binomialTail, ErlangB: (n, r) => line(n, r, 0), ErlangServed: (n, r) => line(n, r, 1),
  LineQueue: (n, r) => line(n, r, 2), LineQueueVariance: (n, r) => line(n, r, 3),
};
