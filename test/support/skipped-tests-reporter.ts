import { relative } from "node:path";
import type { Reporter, TestCase, TestModule } from "vitest/node";
import { MISSING_BROKER } from "./skip-reasons.js";

/** Ends a run with a plain list of what was skipped and why, or with the sentence that nothing was. */
export class SkippedTestsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = new Map<string, number>();
    for (const module of modules) {
      for (const test of module.children.allTests("skipped")) {
        const reason = reasonOf(test);
        counts.set(reason, (counts.get(reason) ?? 0) + 1);
      }
    }
    process.stdout.write(`\n${summary(counts)}\n`);
  }
}

function summary(counts: ReadonlyMap<string, number>): string {
  if (counts.size === 0) return "Skipped: nothing.";
  const lines = [...counts].map(([reason, count]) => `  ${count} ${count === 1 ? "test" : "tests"}: ${reason}`);
  return ["Skipped:", ...lines].join("\n");
}

/** The note of `context.skip(note)`, else the missing broker of a block around the test, else where and how it was skipped. */
function reasonOf(test: TestCase): string {
  const result = test.result();
  if (result.state === "skipped" && result.note) return result.note;
  for (let parent = test.parent; parent.type === "suite"; parent = parent.parent) {
    const at = parent.name.indexOf(MISSING_BROKER);
    if (at !== -1) return parent.name.slice(at + MISSING_BROKER.length).replace(/\]$/, "");
  }
  const file = relative(process.cwd(), test.module.moduleId);
  return test.options.mode === "skip" ? `marked as skipped in ${file}: ${test.fullName}` : `not reached in ${file}, where a set-up failed`;
}
