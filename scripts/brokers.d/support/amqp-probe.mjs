import { connect } from "node:net";

const PROTOCOL_HEADER = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);
const METHOD_FRAME = 1;

/**
 * Whether an AMQP 0-9-1 broker answers at this URL: it must reply to the protocol header with `connection.start`.
 * Credentials are not tried. An `amqps:` URL is only connected to.
 * @param {string} url
 * @param {number} [timeoutMs]
 * @returns {Promise<boolean>}
 */
export function answersAmqp(url, timeoutMs = 3_000) {
  const { protocol, hostname, port } = new URL(url);
  const secure = protocol === "amqps:";
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) || (secure ? 5671 : 5672) });
    /** @param {boolean} answer */
    const finish = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
    socket.once("connect", () => (secure ? finish(true) : socket.write(PROTOCOL_HEADER)));
    socket.once("data", (data) => finish(data[0] === METHOD_FRAME));
  });
}
