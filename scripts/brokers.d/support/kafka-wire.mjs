import { connect } from "node:net";

/**
 * As much of Kafka's protocol as it takes to ask a broker whether it works: this folder needs no packages, so that brokers can be brought up
 * before they are installed. The versions are those that 3.9 and 4.x both know (KIP-896).
 */
const METADATA = { key: 3, version: 6 };
const FIND_COORDINATOR = { key: 10, version: 2 };
const JOIN_GROUP = { key: 11, version: 5 };
const LEAVE_GROUP = { key: 13, version: 1 };
const API_VERSIONS = { key: 18, version: 0 };

const MEMBER_ID_REQUIRED = 79;
const PROBE_GROUP = "trolleybus-brokers-probe";
const SESSION_TIMEOUT_MS = 6_000;

/** @typedef {{ id: number, address: string }} KnownBroker */

/**
 * Whether a Kafka broker answers there; TLS and SASL are not tried.
 * @param {string} address `host:port`, with or without `kafka://`
 * @returns {Promise<boolean>}
 */
export async function answersKafka(address) {
  try {
    const answer = await ask(address, API_VERSIONS, Buffer.alloc(0));
    return answer.int16() === 0;
  } catch {
    return false;
  }
}

/**
 * @param {string} address
 * @returns {Promise<KnownBroker[]>} the brokers of the cluster that take clients now, as they are advertised to clients of this address
 */
export async function knownBrokers(address) {
  const noTopics = Buffer.concat([int32(0), Buffer.from([0])]);
  const answer = await ask(address, METADATA, noTopics);
  answer.int32();
  return Array.from({ length: answer.int32() }, () => {
    const id = answer.int32();
    const host = answer.string();
    const port = answer.int32();
    answer.string(); // its rack
    return { id, address: `${host}:${port}` };
  });
}

/**
 * Whether a consumer could join a group: the topic of the committed offsets is there, and its coordinator takes members.
 * @param {string} address
 * @returns {Promise<boolean>}
 */
export async function takesConsumers(address) {
  const coordinator = await coordinatorOf(address, PROBE_GROUP);
  if (coordinator === undefined) return false;
  const first = await join(coordinator, "");
  if (first.error !== MEMBER_ID_REQUIRED) return first.error === 0;
  const second = await join(coordinator, first.memberId);
  await ask(coordinator, LEAVE_GROUP, Buffer.concat([string(PROBE_GROUP), string(first.memberId)]));
  return second.error === 0;
}

/**
 * @param {string} address
 * @param {string} group
 */
async function coordinatorOf(address, group) {
  const answer = await ask(address, FIND_COORDINATOR, Buffer.concat([string(group), Buffer.from([0])]));
  answer.int32();
  const error = answer.int16();
  answer.string(); // its text
  answer.int32(); // the broker's id
  return error === 0 ? `${answer.string()}:${answer.int32()}` : undefined;
}

/**
 * @param {string} coordinator
 * @param {string} memberId
 */
async function join(coordinator, memberId) {
  const noTopics = Buffer.concat([int16(0), int32(0), int32(-1)]);
  const protocols = Buffer.concat([int32(1), string("probe"), int32(noTopics.length), noTopics]);
  const answer = await ask(
    coordinator,
    JOIN_GROUP,
    Buffer.concat([
      string(PROBE_GROUP),
      int32(SESSION_TIMEOUT_MS),
      int32(SESSION_TIMEOUT_MS),
      string(memberId),
      int16(-1),
      string("consumer"),
      protocols,
    ]),
  );
  answer.int32();
  const error = answer.int16();
  answer.int32(); // the generation
  answer.string(); // the protocol
  answer.string(); // the leader
  return { error, memberId: answer.string() };
}

/**
 * One request on a connection of its own.
 * @param {string} address
 * @param {{ key: number, version: number }} api
 * @param {Buffer} body
 * @param {number} [timeoutMs]
 * @returns {Promise<Reader>} at the beginning of the answer's body
 */
function ask(address, { key, version }, body, timeoutMs = 5_000) {
  const { hostname, port } = new URL(address.includes("://") ? address : `kafka://${address}`);
  const request = Buffer.concat([int16(key), int16(version), int32(1), string("trolleybus-brokers"), body]);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) || 9092 });
    /** @type {Buffer[]} */
    const chunks = [];
    /** @param {string} why */
    const fail = (why) => {
      socket.destroy();
      reject(new Error(`${address} did not answer: ${why}`));
    };
    socket.setTimeout(timeoutMs, () => fail(`${timeoutMs} ms of silence`));
    socket.once("error", (error) => fail(error.message));
    socket.once("close", () => fail("it closed the connection"));
    socket.once("connect", () => socket.write(Buffer.concat([int32(request.length), request])));
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      const received = Buffer.concat(chunks);
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return;
      socket.destroy();
      resolve(new Reader(received.subarray(8)));
    });
  });
}

/** Reads the fields of an answer one after the other. */
class Reader {
  #bytes;
  #at = 0;

  /** @param {Buffer} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
  }

  int16() {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  int32() {
    this.#at += 4;
    return this.#bytes.readInt32BE(this.#at - 4);
  }

  /** @returns {string} an absent one is empty */
  string() {
    const length = Math.max(0, this.int16());
    this.#at += length;
    return this.#bytes.toString("utf8", this.#at - length, this.#at);
  }
}

/** @param {number} value */
function int16(value) {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

/** @param {number} value */
function int32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** @param {string} text */
function string(text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([int16(bytes.length), bytes]);
}
