import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";

const FRAME_END = 0xce;

/** Class and method of AMQP 0-9-1, as `class * 1000 + method`. */
export const METHODS = {
  startOk: 10_011,
  tuneOk: 10_031,
  open: 10_040,
  close: 10_050,
  channelOpen: 20_010,
  channelClose: 20_040,
  confirmSelect: 85_010,
} as const;

/** How connection number `n` (0 is the first) answers a method: in one chunk, by cutting the connection, or never. */
export type Script = (connection: number, method: number) => readonly Buffer[] | "cut" | undefined;

/**
 * A server that speaks as much of AMQP as a script lets it, for moments that a real broker cannot be brought to: answers that come in one
 * chunk, or never. @see {@link letIn} for the answers of the handshake
 */
export class ScriptedServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly methods: { readonly connection: number; readonly method: number }[] = [];
  /** Connections that were made. */
  accepted = 0;

  private constructor(script: Script) {
    this.#server = createServer((socket) => this.#serve(socket, this.accepted++, script));
  }

  static async listen(script: Script): Promise<ScriptedServer> {
    const server = new ScriptedServer(script);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    onTestFinished(() => server.#close());
    return server;
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  #serve(socket: Socket, connection: number, script: Script): void {
    let rest = Buffer.alloc(0);
    let isGreeted = false;
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (data) => {
      rest = Buffer.concat([rest, data]);
      if (!isGreeted) {
        // The protocol header, "AMQP" and the version.
        rest = rest.subarray(8);
        isGreeted = true;
        socket.write(START);
      }
      while (rest.length >= 7 && rest.length >= 8 + rest.readUInt32BE(3)) {
        const size = rest.readUInt32BE(3);
        if (rest[0] === 1) {
          const method = rest.readUInt16BE(7) * 1000 + rest.readUInt16BE(9);
          this.methods.push({ connection, method });
          const answer = script(connection, method);
          if (answer === "cut") socket.destroy();
          else if (answer) socket.write(Buffer.concat(answer));
        }
        rest = rest.subarray(8 + size);
      }
    });
  }

  async #close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** The answer to `method` of a server that lets its client in, and opens and closes a channel with confirms for it. */
export function letIn(method: number): readonly Buffer[] | undefined {
  if (method === METHODS.startOk) return [TUNE];
  if (method === METHODS.open) return [OPEN_OK];
  if (method === METHODS.channelOpen) return [methodFrame(1, 20, 11, longText(""))];
  if (method === METHODS.confirmSelect) return [methodFrame(1, 85, 11)];
  if (method === METHODS.channelClose) return [methodFrame(1, 20, 41)];
  return undefined;
}

function methodFrame(channel: number, classId: number, methodId: number, fields: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(11);
  head.writeUInt8(1, 0);
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(4 + fields.length, 3);
  head.writeUInt16BE(classId, 7);
  head.writeUInt16BE(methodId, 9);
  return Buffer.concat([head, fields, Buffer.from([FRAME_END])]);
}

function longText(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text)]);
}

const START = methodFrame(0, 10, 10, Buffer.concat([Buffer.from([0, 9]), longText(""), longText("PLAIN"), longText("en_US")]));
/** 2047 channels, frames of 131,072 bytes, no heartbeat. */
const TUNE = methodFrame(0, 10, 30, Buffer.from([0x07, 0xff, 0, 2, 0, 0, 0, 0]));
export const OPEN_OK: Buffer = methodFrame(0, 10, 41, Buffer.from([0]));
/** 320 CONNECTION_FORCED. */
export const CLOSE: Buffer = methodFrame(0, 10, 50, Buffer.from([0x01, 0x40, 3, ...Buffer.from("bye"), 0, 0, 0, 0]));
