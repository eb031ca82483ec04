import { type Span, without } from "./byte-spans.js";
import { API_KEY_AT, API_VERSION_AT, bodyAt, endOfText, hasHead, REQUEST_ID_AT, SIZE_BYTES } from "./request-layout.js";
import type { RestingTopics } from "./resting-topics.js";

const FETCH = 1;
/** The highest that kafkajs 2.2.4 knows, and every broker from 2.3 on has; requests and answers are laid out so. */
const FETCH_VERSION = 11;
/** Replica, longest wait, least and most bytes, isolation, and the session with its epoch. */
const FETCH_HEAD_BYTES = 25;
/** A partition's number, two epochs' worth of nothing, the offset, and its most bytes. */
const PARTITION_BYTES = 28;

/** The number of the request, if it is one for records that is laid out as is known here. */
export function fetchIdOf(request: Buffer): number | undefined {
  const isFetch = hasHead(request) && request.readInt16BE(API_KEY_AT) === FETCH && request.readInt16BE(API_VERSION_AT) === FETCH_VERSION;
  return isFetch ? request.readInt32BE(REQUEST_ID_AT) : undefined;
}

/** The request without the topics that rest; one that would ask for nothing, which a broker answers without waiting, stays whole. */
export function withoutResting(request: Buffer, resting: RestingTopics): Buffer {
  const now = performance.now();
  const spans: Span[] = [];
  const asked: string[] = [];
  const topicsAt = bodyAt(request) + FETCH_HEAD_BYTES;
  const count = request.readInt32BE(topicsAt);
  for (let i = 0, at = topicsAt + 4; i < count; i++) {
    const from = at;
    const nameEnd = endOfText(request, at);
    const topic = request.toString("utf8", at + 2, nameEnd);
    at = nameEnd + 4 + request.readInt32BE(nameEnd) * PARTITION_BYTES;
    if (resting.isResting(topic, now)) spans.push({ from, to: at });
    else asked.push(topic);
  }
  if (asked.length === 0) return request;
  for (const topic of asked) resting.asked(topic, now);
  if (spans.length === 0) return request;
  request.writeInt32BE(asked.length, topicsAt);
  const shorter = without(spans, request);
  shorter.writeInt32BE(shorter.length - SIZE_BYTES, 0);
  return shorter;
}
