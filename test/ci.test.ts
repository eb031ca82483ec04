import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import config from "../vitest.config.js";
import { projectRoot } from "./support/source-tree.js";

test("CI, which runs the test projects in lanes, leaves none of them out", () => {
  const named = [...readFileSync(join(projectRoot, ".ci/run"), "utf8").matchAll(/^ *step projects \S+ (.+)$/gm)].flatMap((match) =>
    (match[1] ?? "").split(" "),
  );
  const projects = (config.test?.projects ?? []).map((project) => (project as { test: { name: string } }).test.name);
  expect(named.toSorted()).toEqual(projects.toSorted());
});
