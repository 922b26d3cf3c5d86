r"""What an answer hangs on: elasticities of one policy's outcome, and where its spread comes from.

An elasticity is :math:`d\ln|y| / d\ln c`: by how many per cent the output moves when a constant or
a parameter of the scenario grows by one per cent.

The chain has two links. How the hold moves with the constants is exact: the symbolic derivatives of
the declared equations, summed over the pieces of the call. How the outcome moves with the hold, and
with the constants that act beside it (wake-ups, the line, the faults' own hold), goes through the
fixed points of the lock and is a central difference in the logarithm.

The elasticities also split the spread of the answer to first order: with :math:`g` the elasticities
and :math:`\Sigma` the covariance of the logarithms that the draws of a prediction have, constant
:math:`i` bears :math:`g_i (\Sigma g)_i / g^T \Sigma g`. The shares sum to one; correlated constants
divide what they bear in common equally, and a constant whose error offsets another's can have a
negative share. Sobol indices split the same variance without linearising (:func:`sobol`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.breakeven import PARAMETERS
from perfmodel.errors import InputError, MissingExtraError
from perfmodel.hold import Hold, facts, frees_page_tables, hold, shares
from perfmodel.prediction import account_of, lock_question, predict
from perfmodel.quantities import SCENARIO
from perfmodel.results import LEVEL
from perfmodel.scenario import Policy, Scenario, affected_share
from perfmodel.verdict import CUTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perfmodel.machine import Machine

__all__ = [
    "OUTPUTS", "Elasticities", "Elasticity", "SobolIndex", "SobolIndices", "elasticities",
    "hold_slopes", "log_covariance", "sobol",
]  # fmt: skip

#: What can be asked, with its meaning.
OUTPUTS: Mapping[str, str] = {
    "net_gain": "thread time that the policy saves per call",
    "exclusive": "exclusive hold of one call",
    "wait_mean": "mean wait of all faults",
}

#: Step of the differences in the logarithm. The fixed points are solved to 1e-4 at worst, which
#: such a step turns into an error of less than 0.01 in an elasticity.
STEP = 0.02

SCHEMA = "perfmodel.elasticities/1"
SOBOL_SCHEMA = "perfmodel.sobol/1"

#: A constant that at two standard deviations moves the output by less than this share of what the
#: strongest one does stays at its estimate: each free constant costs `samples` evaluations.
NEGLIGIBLE = 1e-3

_TIMES = ("exclusive", "shared", "call")


@dataclass(frozen=True)
class Elasticity:
    """How one output moves with one constant or parameter.

    Parameters
    ----------
    name, unit : str
    kind : {"machine", "scenario"}
    value : float
        Where the elasticity was taken.
    elasticity : float
        Per cent of the output for one per cent of the constant.
    log_sd : float
        Spread of the constant in the logarithm, the scatter of the fit's residuals included; NaN
        for a parameter of the scenario: what is asked has no spread.
    share : float
        Share of the output's variance, correlation with the other constants divided equally.
    alone : float
        What the variance would be if this constant alone varied, over the whole variance.
    method : str
        How it was obtained.
    """

    name: str
    unit: str
    kind: str
    value: float
    elasticity: float
    log_sd: float = math.nan
    share: float = math.nan
    alone: float = math.nan
    method: str = ""


@dataclass(frozen=True, eq=False)
class Elasticities:
    """Elasticities of one output of one policy, those of the largest effect first.

    Parameters
    ----------
    scenario : Scenario
    policy : Policy
    output : str
        One of `OUTPUTS`.
    value : float
        The output's estimate, ns.
    log_sd : float
        Spread of its logarithm to first order.
    constants, parameters : tuple of Elasticity
        Of the machine, by share of the variance; of the scenario, by size.
    left_out : mapping of str to str
        Constants and parameters without an elasticity, and why.
    """

    scenario: Scenario
    policy: Policy
    output: str
    value: float
    log_sd: float
    constants: tuple[Elasticity, ...]
    parameters: tuple[Elasticity, ...]
    left_out: Mapping[str, str]

    def __getitem__(self, name: str) -> Elasticity:
        for entry in (*self.constants, *self.parameters):
            if entry.name == name:
                return entry
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what does not apply is None."""
        return {
            "schema": SCHEMA,
            "scenario": self.scenario.to_dict(),
            "policy": self.policy.value,
            "output": self.output,
            "value_ns": self.value,
            "log_sd": self.log_sd,
            "constants": [_known(asdict(e)) for e in self.constants],
            "parameters": [_known(asdict(e)) for e in self.parameters],
            "left_out": dict(self.left_out),
        }


@dataclass(frozen=True)
class SobolIndex:
    """First and total index of one direction of the constants' spread.

    Parameters
    ----------
    name : str
        The constant that gives the direction its name.
    first, first_half, total, total_half : float
        Indices, and half the width of their 90 % intervals.
    """

    name: str
    first: float
    first_half: float
    total: float
    total_half: float


@dataclass(frozen=True, eq=False)
class SobolIndices:
    """Where the variance of one output comes from, without linearising.

    Parameters
    ----------
    scenario : Scenario
    policy : Policy
    output : str
    mean, sd : float
        Of the output over the sample, ns.
    indices : tuple of SobolIndex
        In the order of conditioning: see `attribution`.
    evaluations, seed : int
    largest_correlation : float
        Between two of the constants; near zero the order does not matter.
    fixed : tuple of str
        Constants that hardly move the output and stayed at their estimates.
    """

    scenario: Scenario
    policy: Policy
    output: str
    mean: float
    sd: float
    indices: tuple[SobolIndex, ...]
    evaluations: int
    seed: int
    largest_correlation: float
    fixed: tuple[str, ...]

    @property
    def attribution(self) -> str:
        """What is attributed to what."""
        return (
            "The first constant bears its whole spread, with what others move along with it; each"
            " later one bears what is left of its spread once those before it are known"
            f" (largest correlation {self.largest_correlation:.2f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "schema": SOBOL_SCHEMA,
            "scenario": self.scenario.to_dict(),
            "policy": self.policy.value,
            "output": self.output,
            "mean_ns": self.mean,
            "sd_ns": self.sd,
            "level": LEVEL,
            "indices": [asdict(i) for i in self.indices],
            "attribution": self.attribution,
            "largest_correlation": self.largest_correlation,
            "fixed": list(self.fixed),
            "evaluations": self.evaluations,
            "seed": self.seed,
        }


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()
    }


def log_covariance(machine: Machine) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the constants that vary, and the covariance of their logarithms.

    It is what `Machine.draws` draws from: the calibration's covariance, the scatter of the fit's
    residuals on its diagonal, and the constants that were not fitted, independent of the rest.
    Constants that are unknown or zero cannot vary in the logarithm and are left out.
    """
    apart = [
        n for n, c in machine.constants.items() if n not in machine.covariance_names and c.log_sd
    ]
    fitted = machine.covariance + machine.residual_sd**2 * np.eye(len(machine.covariance_names))
    names = (*machine.covariance_names, *apart)
    whole = np.zeros((len(names), len(names)))
    whole[: len(fitted), : len(fitted)] = fitted
    for place, name in enumerate(apart, start=len(fitted)):
        whole[place, place] = (machine.constants[name].log_sd or 0.0) ** 2
    keep = [i for i, n in enumerate(names) if machine.value(n) > 0]
    return tuple(names[i] for i in keep), whole[np.ix_(keep, keep)]


def _outputs(
    scenario: Scenario, policies: tuple[Hold, Hold], constants: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Return every output of the second hold against the first, which has no downgrade."""
    from perfmodel.equations.account import LOST_TIME, NET_GAIN
    from perfmodel.rwlock import solve

    reference, held = policies
    lost = []
    for one in policies:
        answer = solve(lock_question(scenario, one, constants), levels=())
        lost.append(LOST_TIME(**account_of(scenario, answer, one, reference, constants)[0]))
    return {
        "net_gain": NET_GAIN(lost_time_none=lost[0], lost_time=lost[1]),
        "wait_mean": answer.wait_mean,
        "exclusive": held.exclusive,
    }


def _over(
    scenario: Scenario, policy: Policy, constants: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Return every output over arrays of constants."""
    holds = (hold(scenario, Policy.NONE, constants), hold(scenario, policy, constants))
    return _outputs(scenario, holds, constants)


def hold_slopes(scenario: Scenario, policy: Policy) -> dict[str, dict[str, float]]:
    """Return how the hold moves with each constant: d ns / d ln c, from the symbolic derivatives.

    Parameters
    ----------
    scenario : Scenario
    policy : Policy

    Returns
    -------
    dict of str to dict of str to float
        By constant, then ``exclusive``, ``shared`` and ``call``. Constants without an influence are
        left out.
    """
    from perfmodel.equations.hold import PIECES, still_running
    from perfmodel.hold import SKIPPED, where_known

    call, kernel, faults = scenario.call, scenario.kernel, scenario.faults
    constants = scenario.machine.values()
    divided = shares(kernel, call.operation, policy, call.vmas)
    given: dict[str, Any] = dict(facts(kernel, call, policy, scenario.remote_cpus))
    blocked_leave = faults.threads is not None and not frees_page_tables(call.operation)
    # The window in which threads block and leave their CPUs idle ends where the flush begins.
    until_flush = {n: divided[n][0] for n in divided if n in
                   ("find", "prepare", "step", "walk_start", "walk")}  # fmt: skip
    sections = call.vmas if policy is Policy.EVERY_VMA else 1
    nu = affected_share(scenario, policy) / max(faults.think_ns, 1.0) if blocked_leave else 0.0
    unblocked = 1.0
    if blocked_leave:
        held = hold(scenario, policy)
        window = sum(float(p.ns[0]) for p in held.phases
                     if p.mode == "exclusive" and p.name in until_flush) / sections  # fmt: skip
        unblocked = float(still_running(nu=nu, window=window))
        given["remote_cpus"] = float(scenario.running_cpus(unblocked))
    known = {**constants, **given}
    skipped = call.operation == "mprotect" and call.transition == "same-flags"
    slopes: dict[str, dict[str, float]] = {}

    def add(constant: str, piece: str, slope: float) -> None:
        if slope:
            exclusive, shared = divided[piece]
            parts = slopes.setdefault(constant, dict.fromkeys(_TIMES, 0.0))
            for name, part in zip(_TIMES, (exclusive, shared, 1.0), strict=True):
                parts[name] += part * slope

    windows: dict[str, float] = {}
    for piece, equation in PIECES[call.operation].items():
        if skipped and piece in SKIPPED:
            continue
        for name in equation.names:
            if name in constants and constants[name] > 0:
                derivative = where_known(equation.derivative(name), known)
                slope = constants[name] * float(derivative)
                add(name, piece, slope)
                windows[name] = windows.get(name, 0.0) + until_flush.get(piece, 0.0) * slope
    if call.remote_cpus is not None:
        return slopes
    # The number of CPUs to interrupt is not given: it moves with the window, or with the faults in
    # progress, and the cost of the shootdown with it.
    each = float(where_known(PIECES[call.operation]["shootdown"].derivative("remote_cpus"), known))
    if blocked_leave:
        # Piecewise linear in the share that runs: any small step gives the slope.
        step = 1e-6
        rise = scenario.running_cpus(unblocked + step) - scenario.running_cpus(unblocked - step)
        shrink = float(still_running.derivative("window")(nu=nu, window=window)) / sections
        for name, slope in windows.items():
            add(name, "shootdown", each * float(rise) / (2 * step) * shrink * slope)
    elif faults.open and given["remote_cpus"] < scenario.cpus - 1 and constants["fault_minor"] > 0:
        add("fault_minor", "shootdown", each * faults.rate_per_ns * constants["fault_minor"])
    return slopes


def _nudged(base: float, count: int, column: int, step: float) -> NDArray[np.float64]:
    out = np.full(count, base)
    out[column : column + 2] *= np.exp([step, -step])
    return out


def _slopes(scenario: Scenario, policy: Policy, output: str) -> dict[str, float]:
    """Return d output / d ln c by constant."""
    by_hold = {p: hold_slopes(scenario, p) for p in (Policy.NONE, policy)}
    if output == "exclusive":
        return {n: s["exclusive"] for n, s in by_hold[policy].items()}
    central = scenario.machine.draws(1)
    holds = {p: hold(scenario, p, central) for p in by_hold}
    names = [n for n, v in scenario.machine.values().items() if v > 0]
    # One column pair a constant, with the holds kept, then one a time of the holds.
    times = [(p, t) for p in holds for t in _TIMES if float(getattr(holds[p], t)[0]) > 0]
    count = 2 * (len(names) + len(times))
    constants = {n: np.full(count, v[0]) for n, v in central.items()}
    for i, name in enumerate(names):
        # The lock takes the mean of the faults' hold over all columns in one place: that constant
        # must not vary beside others.
        if name != "fault_hold":
            constants[name] = _nudged(central[name][0], count, 2 * i, STEP)
    stretched: dict[Policy, Hold] = {}
    for p, held in holds.items():
        arrays = {t: np.full(count, getattr(held, t)[0]) for t in _TIMES}
        for j, (q, t) in enumerate(times):
            if q is p:
                arrays[t] = _nudged(arrays[t][0], count, 2 * (len(names) + j), STEP)
        stretched[p] = replace(held, exclusive=arrays["exclusive"], shared=arrays["shared"],
                               call=arrays["call"])  # fmt: skip
    moved = _outputs(scenario, (stretched[Policy.NONE], stretched[policy]), constants)[output]
    differences = (moved[0::2] - moved[1::2]) / (2 * STEP)
    slopes = dict(zip(names, map(float, differences), strict=False))
    if "fault_hold" in slopes:
        ends = []
        for sign in (1, -1):
            one = central | {"fault_hold": central["fault_hold"] * math.exp(sign * STEP)}
            ends.append(_outputs(scenario, (holds[Policy.NONE], holds[policy]), one)[output][0])
        slopes["fault_hold"] = float(ends[0] - ends[1]) / (2 * STEP)
    for j, (p, t) in enumerate(times):
        # A difference by the logarithm of the time, over the time, times d time / d ln c.
        rate = float(differences[len(names) + j]) / float(getattr(holds[p], t)[0])
        for name, parts in by_hold[p].items():
            slopes[name] = slopes.get(name, 0.0) + rate * parts[t]
    return slopes


def _ends(value: float, name: str) -> tuple[float, float]:
    """Return the two values of a parameter between which its elasticity is taken."""
    declared = SCENARIO[name]
    low, high = declared.domain
    if declared.integer:
        step = max(1, round(STEP * value))
        return max(low, value - step), min(high, value + step)
    return max(low, value * math.exp(-STEP)), min(high, value * math.exp(STEP))


def _parameters(
    scenario: Scenario, policy: Policy, output: str
) -> tuple[list[Elasticity], dict[str, str]]:
    """Return the elasticities of the scenario's parameters, and those that have none."""
    found, left = [], {}
    plain = scenario.to_dict()
    for name, (path, declared) in PARAMETERS.items():
        part, _, key = path.rpartition(".")
        value = (plain[part] if part else plain)[key]
        if value is None:
            continue
        if value == 0:
            left[name] = "it is zero"
            continue
        low, high = _ends(float(value), declared)
        if name == "vmas":
            high = min(high, scenario.call.pages)
        if name == "pages":
            low = max(low, scenario.call.vmas)
        whole = SCENARIO[declared].integer
        ends = []
        for end in (low, high):
            there = scenario.replace(**{path: round(end) if whole else end})
            ends.append(float(_over(there, policy, there.machine.draws(1))[output][0]))
        if low >= high:
            left[name] = "the rest of the scenario leaves it no other value"
            continue
        if not (all(map(math.isfinite, ends)) and ends[0] * ends[1] > 0):
            left[name] = "the output is unknown, zero or of another sign beside it"
            continue
        how = "secant between the next whole numbers" if whole else "difference"
        if not whole and high == value:
            how = "difference from below: it is at its largest"
        found.append(
            Elasticity(name, SCENARIO[declared].unit, "scenario", float(value),
                       math.log(ends[1] / ends[0]) / math.log(high / low), method=how)
        )  # fmt: skip
    return sorted(found, key=lambda e: -abs(e.elasticity)), left


def _checked(
    scenario: Scenario, policy: Policy | str | None, output: str
) -> tuple[Scenario, Policy, float]:
    """Return the scenario with that policy, the policy, and the output's estimate."""
    if output not in OUTPUTS:
        raise InputError(
            f"there is no output {output!r}",
            field="output",
            expected="one of " + ", ".join(OUTPUTS),
        )
    if policy is None:
        judged = predict(scenario, draws=1, levels=(), solver="closed", guards=False).verdict.policy
        policy = Policy(judged) if judged != "none" else CUTS[0]
    policy = Policy(policy)
    if policy is Policy.NONE and output == "net_gain":
        raise InputError("the gain is against 'none' itself", field="policy",
                         expected="one policy other than none")  # fmt: skip
    pair = scenario.replace(policies=(Policy.NONE, policy))
    value = float(_over(pair, policy, scenario.machine.draws(1))[output][0])
    if not math.isfinite(value):
        raise InputError(f"{output} of {policy.value} cannot be predicted here", field="output")
    return pair, policy, value


def elasticities(
    scenario: Scenario, *, policy: Policy | str | None = None, output: str = "net_gain"
) -> Elasticities:
    """Return how an output moves with every constant of the machine and parameter of the scenario.

    Parameters
    ----------
    scenario : Scenario
    policy : Policy or str, optional
        The policy. Default: the one that the verdict on the scenario judges.
    output : str
        One of `OUTPUTS`.

    Returns
    -------
    Elasticities

    Raises
    ------
    InputError
        If there is no such output, or it is unknown or zero, so that it has no logarithm.
    """
    pair, policy, value = _checked(scenario, policy, output)
    if value == 0:
        raise InputError(f"{output} of {policy.value} is zero: nothing can be in per cent of it",
                         field="output")  # fmt: skip
    machine = scenario.machine
    slopes = _slopes(pair, policy, output)
    names, covariance = log_covariance(machine)
    gradient = np.array([slopes.get(n, 0.0) / value for n in names])
    common = covariance @ gradient
    variance = float(gradient @ common)
    spread = {n: i for i, n in enumerate(names)}
    entries, left = [], {}
    for name, constant in machine.constants.items():
        if not machine.value(name) > 0:
            left[name] = "it is zero" if machine.value(name) == 0 else machine.reason(name)
            continue
        e = slopes.get(name, 0.0) / value
        sd = share = alone = 0.0
        if name in spread:
            i = spread[name]
            sd = math.sqrt(covariance[i, i])
            if variance > 0:
                share = float(gradient[i] * common[i]) / variance
                alone = (e * sd) ** 2 / variance
        how = "symbolic" if output == "exclusive" else "symbolic hold, differences beyond it"
        entries.append(Elasticity(name, constant.unit, "machine", machine.value(name), e, sd, share,
                                  alone, how))  # fmt: skip
    entries.sort(key=lambda entry: (-abs(entry.share), -abs(entry.elasticity)))
    parameters, without = _parameters(pair, policy, output)
    return Elasticities(pair, policy, output, value, math.sqrt(variance), tuple(entries),
                        tuple(parameters), left | without)  # fmt: skip


def sobol(
    scenario: Scenario,
    *,
    policy: Policy | str | None = None,
    output: str = "net_gain",
    samples: int = 256,
    seed: int = 0,
) -> SobolIndices:
    """Split the variance of an output among the constants by Sobol indices.

    The constants are correlated, and Sobol indices are of independent inputs. So the logarithms are
    written as :math:`L z`, with L the Cholesky factor of their covariance and z independent normal.
    The constants stand in the order of their effect: the first z is the first constant, with what
    correlated constants move along; the second z is what the second constant varies by once the
    first is known; and so on. An index belongs to its z and bears the constant's name.

    Parameters
    ----------
    scenario : Scenario
    policy : Policy or str, optional
        The policy. Default: the one that the verdict on the scenario judges.
    output : str
        One of `OUTPUTS`.
    samples : int
        Base sample, a power of two; ``samples * (constants + 2)`` evaluations in one call.
    seed : int
        Seed of the sample and of the bootstrap behind the intervals.

    Returns
    -------
    SobolIndices

    Raises
    ------
    InputError
        If there is no such output, or it is unknown for some of the draws or does not vary.
    MissingExtraError
        If SALib is not installed.
    """
    pair, policy, value = _checked(scenario, policy, output)
    if samples < 8 or samples & (samples - 1):
        raise InputError(f"{samples!r} will not do", field="samples",
                         expected="a power of two of at least 8")  # fmt: skip
    try:
        from SALib.analyze import sobol as analysis
        from SALib.sample import sobol as sampling
    except ImportError:
        raise MissingExtraError("SALib", "sensitivity") from None
    names, covariance = log_covariance(scenario.machine)
    central = {n: float(v[0]) for n, v in scenario.machine.draws(1).items()}
    # Who moves the output at all: two columns a constant, and one more so that none is not empty.
    count = 2 * len(names) + 1
    sd = np.sqrt(np.diag(covariance))
    trial = {n: np.full(count, v) for n, v in central.items()}
    for i, name in enumerate(names):
        trial[name] = _nudged(central[name], count, 2 * i, 2 * sd[i])
    moved = np.abs(_over(pair, policy, trial)[output][:-1] - value)
    # Who moves it to where it is unknown is not left out.
    swing = np.where(np.isnan(moved), np.inf, moved).reshape(-1, 2).max(axis=1)
    least = NEGLIGIBLE * swing.max(initial=0.0, where=np.isfinite(swing))
    order = [int(i) for i in np.argsort(-swing, kind="stable") if swing[i] > least]
    if not order:
        raise InputError(f"{output} of {policy.value} does not vary with the constants",
                         field="output")  # fmt: skip
    chosen = covariance[np.ix_(order, order)]
    active = [names[i] for i in order]
    problem = {"num_vars": len(active), "names": active, "dists": ["norm"] * len(active),
               "bounds": [[0.0, 1.0]] * len(active)}  # fmt: skip
    z = sampling.sample(problem, samples, calc_second_order=False, seed=seed)
    # A hair on the diagonal: constants that are wholly correlated have no factor otherwise.
    shift = z @ np.linalg.cholesky(chosen + 1e-12 * np.diag(np.diag(chosen))).T
    drawn = {n: np.full(len(z), v) for n, v in central.items()}
    for i, name in enumerate(active):
        drawn[name] = central[name] * np.exp(shift[:, i])
    got = _over(pair, policy, drawn)[output]
    if not np.all(np.isfinite(got)):
        raise InputError(
            f"{output} has no steady state for {int(np.sum(~np.isfinite(got)))} of {got.size} draws:"
            " its variance is not defined", field="output",
        )  # fmt: skip
    # SALib takes a seed of 0 for none at all.
    found = analysis.analyze(problem, got, calc_second_order=False, conf_level=LEVEL, seed=seed + 1)
    correlation = chosen / np.outer(sd[order], sd[order]) - np.eye(len(order))
    return SobolIndices(
        scenario=pair, policy=policy, output=output,
        mean=float(got.mean()), sd=float(got.std()),
        indices=tuple(
            SobolIndex(n, *(float(found[k][i]) for k in ("S1", "S1_conf", "ST", "ST_conf")))
            for i, n in enumerate(active)
        ),
        evaluations=got.size, seed=seed,
        largest_correlation=float(np.abs(correlation).max()),
        fixed=tuple(n for n in names if n not in active),
    )  # fmt: skip
