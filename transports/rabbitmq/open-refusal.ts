import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ServerAnswer } from "./errors.js";
import type { ResolvedOptions } from "./options.js";
import type { Address } from "./url.js";

// The handful of AMQP 0-9-1 that leads to `connection.open`: https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, sections 2.2 and 4.2.
const PROTOCOL_HEADER = Buffer.from("AMQP\x00\x00\x09\x01", "latin1");
const METHOD_FRAME = 1;
const FRAME_HEADER_BYTES = 7;
const FRAME_END = 0xce;
const CONNECTION = 10;
const START = 10;
const START_OK = 11;
const TUNE = 30;
const TUNE_OK = 31;
const OPEN = 40;
const CLOSE = 50;
/** No server says more than this before it answers; what does is none. */
const MOST_BYTES = 1024 * 1024;

/**
 * Asks the server once more, on a connection of its own, why it closes while the virtual host is opened: amqplib keeps the answer to itself, and a virtual host
 * that is missing has to be told from one that is not up yet. @returns `undefined` when the server opens it, goes, or does not answer in time
 */
export function whyNotOpened(address: Address, options: ResolvedOptions, signal: AbortSignal): Promise<ServerAnswer | undefined> {
  return new Promise((resolve) => {
    // Over all, not since the last byte: who sends a byte now and then must not hold up the start.
    const limit = AbortSignal.any([signal, AbortSignal.timeout(options.connectTimeoutMs)]);
    const socket = connectTo(address, options, limit);
    const done = (answer?: ServerAnswer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on("error", () => done());
    socket.on("close", () => done());
    socket.once(address.secure ? "secureConnect" : "connect", () => socket.write(PROTOCOL_HEADER));
    let received = Buffer.alloc(0);
    socket.on("data", (data: Buffer) => {
      received = Buffer.concat([received, data]);
      for (;;) {
        const size = received.length < FRAME_HEADER_BYTES ? 0 : received.readUInt32BE(3);
        if (size > MOST_BYTES) return done();
        if (received.length < FRAME_HEADER_BYTES + size + 1) return;
        const payload = received.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + size);
        received = received.subarray(FRAME_HEADER_BYTES + size + 1);
        const isEnd = answerMethod(payload, socket, address, done);
        if (isEnd) return;
      }
    });
  });
}

/** @returns whether nothing more is expected */
function answerMethod(payload: Buffer, socket: Socket, address: Address, done: (answer?: ServerAnswer) => void): boolean {
  const method = payload.length >= 4 && payload.readUInt16BE(0) === CONNECTION ? payload.readUInt16BE(2) : undefined;
  if (method === START) {
    const noProperties = Buffer.alloc(4);
    const response = Buffer.from(`\0${address.username}\0${address.password}`);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(response.length);
    socket.write(frame(START_OK, noProperties, short("PLAIN"), length, response, short("en_US")));
    return false;
  }
  if (method === TUNE) {
    // As the server proposes: channels, bytes of a frame, heartbeat.
    socket.write(frame(TUNE_OK, payload.subarray(4, 12)));
    socket.write(frame(OPEN, short(address.virtualHost), short(""), Buffer.alloc(1)));
    return false;
  }
  if (method === CLOSE && payload.length >= 7) {
    const end = 7 + payload.readUInt8(6);
    done({ code: payload.readUInt16BE(4), text: payload.toString("utf8", 7, end) });
  } else done();
  return true;
}

function frame(method: number, ...fields: readonly Buffer[]): Buffer {
  const payload = Buffer.concat([Buffer.alloc(4), ...fields]);
  payload.writeUInt16BE(CONNECTION, 0);
  payload.writeUInt16BE(method, 2);
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt8(METHOD_FRAME, 0);
  header.writeUInt32BE(payload.length, 3);
  return Buffer.concat([header, payload, Buffer.from([FRAME_END])]);
}

function short(text: string): Buffer {
  const bytes = Buffer.from(text).subarray(0, 255);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

/** An address is no name that a server could be asked for. */
function serverName(host: string): { servername?: string } {
  return isIP(host) ? {} : { servername: host };
}

function connectTo(address: Address, { tls }: ResolvedOptions, signal: AbortSignal): Socket {
  const where = { host: address.host, port: address.port, signal };
  if (!address.secure) return connectTcp(where);
  return connectTls({ ...where, ...serverName(tls.serverName ?? address.host), ...tls.connectOptions });
}
