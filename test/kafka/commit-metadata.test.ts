import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { MAX_METADATA_BYTES, readCommitMetadata, writeCommitMetadata } from "../../transports/kafka/commit-metadata.js";
import { MAX_SPREAD, OffsetTracker, offsetsOf } from "../../transports/kafka/offset-tracker.js";

describe("the metadata of a commit", () => {
  test("gives back what was written", () => {
    const done = Uint8Array.from([0b10, 0xff, 0, 0b1]);
    const written = { writer: "abcDEF-_", starts: 2, alone: { offset: 2 ** 50, runs: 3 }, done };
    const read = readCommitMetadata(writeCommitMetadata(written));
    expect({ ...read, done: [...read.done] }).toEqual({ ...written, done: [...done] });
  });

  test("holds the longest bitmap beside everything else in what a broker takes", () => {
    const done = randomBytes(MAX_SPREAD / 8);
    const text = writeCommitMetadata({ writer: "12345678", starts: 1e9, alone: { offset: 2 ** 53 - 1, runs: 1e9 }, done });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_METADATA_BYTES);
    expect(Buffer.from(readCommitMetadata(text).done).equals(done)).toBe(true);
  });

  test("carries what is done beyond the prefix from one owner of a partition to the next", () => {
    const before = new OffsetTracker(100);
    for (let offset = 100; offset < 200; offset++) before.take(offset);
    for (let offset = 101; offset < 200; offset += 2) before.settle(offset);
    const text = writeCommitMetadata({ writer: "w", starts: 0, alone: undefined, done: before.doneBeyond() });

    const after = new OffsetTracker(before.low, offsetsOf(readCommitMetadata(text).done, before.low));
    const begunAgain = Array.from({ length: 100 }, (_, i) => 100 + i).filter((offset) => after.take(offset));
    expect(begunAgain).toEqual(Array.from({ length: 50 }, (_, i) => 100 + 2 * i));
  });

  test.each(["", "hello", '{"starts":2}', "tb2;s=5", "tb1", "tb1;s=-1;a=x:y;d=", "tb1;s=1e9", "tb1;;;=;s", `tb1;a=${"9".repeat(40)}:1`])(
    "takes %j, which somebody else wrote, for nothing",
    (text) => {
      const { starts, alone, done } = readCommitMetadata(text);
      expect({ starts, alone, done: [...done] }).toEqual({ starts: 0, alone: undefined, done: [] });
    },
  );
});
