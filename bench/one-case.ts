import { COMPARISONS } from "./comparisons.js";

const [name, side, prefix] = process.argv.slice(2);
const comparison = COMPARISONS.find((candidate) => candidate.name === name);
const run = side === "bus" || side === "baseline" || side === "between" ? comparison?.[side] : undefined;
if (!run || prefix === undefined) throw new Error("usage: one-case.js COMPARISON baseline|between|bus PREFIX");
const figures = await run(prefix);
process.send?.(figures);
process.disconnect?.();
