import { expect, test } from "vitest";
import { AssignedPartition } from "../../transports/kafka/assigned-partition.js";
import { readCommitMetadata } from "../../transports/kafka/commit-metadata.js";
import { CopyRemover } from "../../transports/kafka/copy-remover.js";
import { DriverError } from "../../transports/kafka/driver.js";
import type { ReceiverEnvironment } from "../../transports/kafka/receiver-environment.js";

/** A partition that is committed up to this offset. */
function committed(topic: string, offset: number): AssignedPartition {
  const partition = new AssignedPartition({ topic, retryDelayMs: 1_000, types: undefined }, 0);
  partition.load(offset, readCommitMetadata(""), 10);
  return partition;
}

function remover(): { copies: CopyRemover; deleted: string[]; warnings: string[]; answer: { error: Error | undefined } } {
  const deleted: string[] = [];
  const warnings: string[] = [];
  const answer: { error: Error | undefined } = { error: undefined };
  const deleteRecords = async (topic: string, before: readonly { partition: number; offset: number }[]): Promise<void> => {
    if (answer.error) throw answer.error;
    for (const { partition, offset } of before) deleted.push(`${topic}/${partition}<${offset}`);
  };
  const connection = { admin: (call: (admin: { deleteRecords: typeof deleteRecords }) => unknown) => call({ deleteRecords }) };
  const logger = { debug: () => {}, warn: (text: string) => void warnings.push(text) };
  return { copies: new CopyRemover({ connection, logger } as unknown as ReceiverEnvironment), deleted, warnings, answer };
}

test("what is behind the commit is deleted once, and again when there is more of it", async () => {
  const { copies, deleted } = remover();
  await copies.removeDone([committed("a", 5), committed("b", 0)]);
  await copies.removeDone([committed("a", 5)]);
  await copies.removeDone([committed("a", 7)]);
  expect(deleted).toEqual(["a/0<5", "a/0<7"]);
});

test("of a partition of which the commit is not known nothing is deleted", async () => {
  const { copies, deleted } = remover();
  const partition = committed("a", 5);
  partition.suspend();
  await copies.removeDone([partition]);
  expect(deleted).toEqual([]);
});

test("a missing right to delete is told once for each topic, and tried on until it is there", async () => {
  const { copies, deleted, warnings, answer } = remover();
  answer.error = new DriverError("forbidden", "no", { type: "TOPIC_AUTHORIZATION_FAILED" });
  for (let i = 0; i < 3; i++) await copies.removeDone([committed("a", 5), committed("b", 5)]);
  expect(warnings).toEqual([expect.stringMatching(/"a".*DELETE/), expect.stringMatching(/"b".*DELETE/)]);
  answer.error = undefined;
  await copies.removeDone([committed("a", 5)]);
  expect(deleted).toEqual(["a/0<5"]);
});

test("trouble that may pass is no news", async () => {
  const { copies, warnings, answer } = remover();
  answer.error = new DriverError("unavailable", "no leader");
  await copies.removeDone([committed("a", 5)]);
  expect(warnings).toEqual([]);
});
