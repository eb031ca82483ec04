import { expect, test } from "vitest";
import { Visits } from "../../../src/dead-letters/visits.js";
import { settled } from "../../support/until.js";

test("the end is told to all visits, and waits for them, however they end", async () => {
  const visits = new Visits();
  await visits.during(Promise.resolve());
  let fail: ((error: Error) => void) | undefined;
  const visit = visits.during(new Promise((_, reject) => (fail = reject)));
  visit.catch(() => {});
  let ended = false;
  void visits.end().then(() => {
    ended = true;
  });
  expect(visits.ending.aborted).toBe(true);
  await settled();
  expect(ended).toBe(false);
  fail?.(new Error("no"));
  await expect(visit).rejects.toThrow("no");
  await settled();
  expect(ended).toBe(true);
});

test("any number of visits may listen for the end: Node warns of no leak", async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", note);
  const { ending } = new Visits();
  for (let i = 0; i < 20; i++) ending.addEventListener("abort", () => {});
  await settled();
  process.off("warning", note);
  expect(warnings).toEqual([]);
});
