import { connect as connectSocket, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type * as Kafkajs from "kafkajs";
import type { Logger } from "../../src/contracts/logger.js";
import { fillRequests } from "./filled-requests.js";
import { fetchingCodec, markFetches } from "./kafkajs-fetches.js";
import { type Membership, noteJoins } from "./kafkajs-joins.js";
import type { ResolvedOptions } from "./options.js";
import { RestingTopics } from "./resting-topics.js";
import { onlyWholeResponses } from "./whole-responses.js";

/** kafkajs itself, as it was loaded. */
export type KafkajsModule = typeof Kafkajs;

/** One `Kafka` of kafkajs for one producer, consumer or admin, with the sockets that it opened. */
export interface KafkajsHome {
  readonly module: KafkajsModule;
  readonly kafka: Kafkajs.Kafka;
  readonly options: ResolvedOptions;
  /** How long each of these topics need not be asked for when a broker had nothing of it, in milliseconds; filled before the first connection. */
  readonly rests: Map<string, number>;
  /** Of its consumer, in its group. */
  readonly membership: Membership;
  /** Destroys its sockets: kafkajs has no way of its own to let go of a broker that does not answer. */
  cut(): void;
}

const KEEP_ALIVE_MS = 60_000;
/** Of kafkajs's own, for connecting and for finding a coordinator: the adapter tries again for ever anyhow, with its own pauses. */
const RETRY = { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000 };

export function kafkajsHome(module: KafkajsModule, options: ResolvedOptions, clientId: string, logger: Logger): KafkajsHome {
  const codec = fetchingCodec(module);
  const sockets = new Set<Socket>();
  const rests = new Map<string, number>();
  const membership: Membership = { memberId: undefined, isJoining: false };
  let isCut = false;
  const socketFactory: Kafkajs.ISocketFactory = ({ host, port, onConnect }) => {
    const socket = options.tls
      ? connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }), ...options.tls.connectOptions }, onConnect)
      : connectSocket({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    // kafkajs asks one that still connects not to keep the process alive with each failed try of others at its broker, and each time is a listener.
    socket.setMaxListeners(0);
    // The last one is the first to see what is written, whole as kafkajs wrote it, and what comes.
    fillRequests(socket);
    if (codec !== undefined) markFetches(socket, codec, new RestingTopics(rests));
    noteJoins(socket, membership);
    onlyWholeResponses(socket);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    if (isCut) socket.destroy(new Error("the connection is no longer wanted"));
    return socket;
  };
  const kafka = new module.Kafka({
    clientId,
    brokers: [...options.brokers],
    ssl: options.tls !== undefined,
    ...(options.sasl && { sasl: saslOf(options.sasl) }),
    connectionTimeout: options.connectTimeoutMs,
    authenticationTimeout: options.connectTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    retry: RETRY,
    socketFactory,
    logLevel: module.logLevel.WARN,
    // What matters of it the adapter tells itself; kafkajs calls an error what it is about to try again.
    logCreator: () => (entry) => logger.debug(`kafkajs: ${entry.log.message}`, { part: entry.namespace }),
  });
  return {
    module,
    kafka,
    options,
    rests,
    membership,
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.destroy(new Error("the connection was given up"));
    },
  };
}

function saslOf(sasl: NonNullable<ResolvedOptions["sasl"]>): Kafkajs.SASLOptions {
  if (sasl.mechanism !== "oauthbearer") return { ...sasl };
  const { token } = sasl;
  return { mechanism: "oauthbearer", oauthBearerProvider: async () => ({ value: await token() }) };
}
