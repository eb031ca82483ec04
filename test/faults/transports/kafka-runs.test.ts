import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { partitionOfKey } from "../../../transports/kafka/partitioner.js";
import { PartitionRuns } from "./kafka-runs.js";

const PARTITIONS = 6;

function started(key: string, endpoint = "faults-ordered"): string {
  return `${JSON.stringify({ event: "started", id: "m", endpoint, attempt: 1, key })}\n`;
}

test("handlers that began are counted in the partition of their message's key, at one endpoint, once a line is whole", async () => {
  const folder = mkdtempSync(join(tmpdir(), "runs-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const write = (service: string, text: string): void => appendFileSync(join(folder, `${service}.1.jsonl`), text);
  const runs = new PartitionRuns(folder, "faults-ordered", "faults.step");
  const of = (key: string): number => partitionOfKey(Buffer.from(key), PARTITIONS);

  const late = started("b");
  write("consumer-1", started("a") + started("a") + started("a", "faults-work") + late.slice(0, 20));
  expect(await runs.count(PARTITIONS)).toEqual(new Map([[of("a"), 2]]));

  write("consumer-1", late.slice(20));
  write("consumer-2", started("a"));
  expect(of("a")).not.toBe(of("b"));
  expect(await runs.count(PARTITIONS)).toEqual(
    new Map([
      [of("a"), 3],
      [of("b"), 1],
    ]),
  );
});
